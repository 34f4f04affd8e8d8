//! Keys and tokens printed in the standards, and a few signatures that other
//! software made where the standards print none.

use crate::jose::alg::Algorithm;

/// The payload of RFC 7515 appendix A.1 to A.3, encoded.
pub(super) const RFC7515_PAYLOAD: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

/// RFC 7515 A.2: the public half of the RSA key.
pub(super) const RFC7515_A2_KEY: &str = r#"{"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"}"#;

/// RFC 7515 A.2: the token.
pub(super) const RFC7515_A2_TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";

/// RFC 7515 A.3: the public half of the P-256 key.
pub(super) const RFC7515_A3_KEY: &str = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;

/// RFC 7515 A.3: the token.
pub(super) const RFC7515_A3_TOKEN: &str = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";

/// RFC 8037 A.2: the Ed25519 public key.
pub(super) const RFC8037_KEY: &str =
    r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

/// RFC 8037 A.1: the private member `d` of that key.
pub(super) const RFC8037_D: &str = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";

/// RFC 8037 A.3: its thumbprint.
pub(super) const RFC8037_THUMBPRINT: &str = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";

/// RFC 8037 A.4: the payload, and all of the token.
pub(super) const RFC8037_PAYLOAD: &[u8] = b"Example of Ed25519 signing";
pub(super) const RFC8037_TOKEN: &str = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";

/// RFC 7638 3.1: the key and its thumbprint.
pub(super) const RFC7638_KEY: &str = r#"{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}"#;
pub(super) const RFC7638_THUMBPRINT: &str = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";

/// RFC 9449 4.1: a proof for the token endpoint.
pub(super) const RFC9449_TOKEN_PROOF: &str = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg";

/// RFC 9449 7.1: a proof for a protected resource, and the access token.
pub(super) const RFC9449_RESOURCE_PROOF: &str = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA";
pub(super) const RFC9449_ACCESS_TOKEN: &str = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";

/// RFC 9449 6.1: the thumbprint of the key of both.
pub(super) const RFC9449_JKT: &str = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";

/// `message`, signed by other software with the RSA key of the tests.
pub(super) const RSA_SIGNATURES: [(Algorithm, &str); 6] = [
    (
        Algorithm::Rs256,
        "r7OirU8kzl9d_qxK-5XjiFog10MzezmGT-f5tCI5C5Q97T3gHBdvwMDm_vB3zZOuhO9nYD-n_Z9Vm0Sad-oSJSZDln363a6rru7KDGdNMIEfP9QLUek3RPr6QFnUSQfNsLfsx3jqcb0WU38vHg69dW9M5_PWqKypTlsr6uHZV0bY5xaEYasnH4C2EOHQNcC8-3g0Rau0DP3_G6LiINh67fCvnfV-WALAYgkijZhmar-9SFPAzHguQV4h_eAznqeqmRv4ExgcUaLJd6cClN1LSBmpwD-XFYSkuml5JEjBBypLUAUjybX7LddbWFqw9sVZNQlPJ5PG1d5r3QnVJofezA",
    ),
    (
        Algorithm::Rs384,
        "Te6Fn5b9d9LfHnMtp21s_OuzjY9k1PntMTdYpzH3r7ZVjjHVasi5yXtnDXB4ZhycMpCgvRQFyywhDD5k-Pg_IP28cwOwvODzj-Q6ohM6AER_uZUFCrgB0lls7GTS1dud8DUUHqAlb_sUnwAd-YJsUHDOisO2yfWMou8darZsxbk_VEz_6Z4r1i4gr1s0q_kQLggib0NEMRFkSdzpMA7kQ08wtw1Bq6gzIr5ZKoCwiX1wSv-XDr_9tj28JYbeJSeFNPFrb4zgeyHY1AJrk-3KwWbIsZq0VtvQxGU95KazTGisBn_ksE9i1gVUYmDgKPzECWuaYZeGK_W15IvWZ3v6yw",
    ),
    (
        Algorithm::Rs512,
        "tNPu3GRFHCQ29XMEr3TIgFvx8WTgPpBzlCkJNqf7PxugTBX7V5DCiO6EF0kHYyOk3InNwPmdQbS-fSuL7QkxyHVOSaSSIe9wJOww4yl4b7ET3TFdWqgZqWQVZ6vQdLc3YzU6SZK8x083YFl5Om56PCNEXXqBCalETcLFIqnqUipIZj0P_J6Y_3XJvuVUzNa9nPb2Xuo23XvJF-PC3ftLhzFGrachep8PlxLscNZNZ4gxWo6l_4KBynoytxsI5EEPqtpD1vdvR2neP-cwu8SIfE1u_JNWjJeVgMQSzBUFTsdrLmjs3O2bovCb-64aa1q9q181HeTHqxOWiyKXRPT_eA",
    ),
    (
        Algorithm::Ps256,
        "HsYoK-_zN3HTneJMWaAi7YKrMM0d19fhSbKotrFye0Dl_vH4IvpaW04Ne3lP9fGu7Muj4uZC55X5fKp0N9tedH_nF3Gl2EZ8vqosYFfIlDBRg1uCdX6DDqu7HnOaWvq2bfFgw95nst1KrB-brIPkaV0Z9IsjYXCr2XJwLhrH4_3INQgrRqryR_5h8R4OAIRdpaveTf78HqOJMRH0_BACyOhYo2uZnf87dkdYPVnQQrLUTlXv65x34fHWyd8G1YPkvuuMUY9HwpYitLv6pnkrU5XntHueRAQDsNz3UDqg8KKDumhnyzoi6i4an1f4iUKYTgWwsFUkQVDgDCpwcCr7Iw",
    ),
    (
        Algorithm::Ps384,
        "b-DH4yLOtqjNAV0E6ZmkDsP1oyM3TEpbg3nd8EvtQ97-RGIozBrAe2gcdv3PII0iVpox7b49b5TNlJLHCEkCBG76NeZHyq0db6vlg-62URBhjLhR4w_7tE7EEj_uEAT1_nGJnv9w8aTF86-8lxtNZfFfttFBDJaFc07jZtcvGxNaU4HO82KocU1LfWbcXURb5dvdlUFYYZ4nggqC4l1r2GjtFL9laxgcLoBvTAwFpaHHzP9jK0ngQcTSUFlI4EOGOnG7Qnt2ItL5psesUjG6NOsCraIrSQMLVOZmsSC7q-9RaasCBQZFyr1xGKNqT7RGMYUZg4PaMTgU_sAuHttWMg",
    ),
    (
        Algorithm::Ps512,
        "i51JDNREizJhROndQg1javH1pzI8l4Ue9o2YGlGdZ3bjvkyFb6A3bav0CJ4yfIGj0Q8FeHBs5ov2Zb4SkCM_lUg1An2S1-k-LJ86QhTYJjH266vaXwFlem3MLOrJLOa41-iXZl0L1cWOJQ_LqjeFbdxOq0-h9QfJ6vVXk8VWGc8J6kJgk5t9UoNC2D1gemPkCIZsQzwRTFtosroyWLY6LgbRoj3GfwAWOxW0_U3fKnb5y9mImRAjP7t4NZ5zQ1DT_O0c4fNzk5SBKr_Tf-9awWhCuS-GCjsz6mZO-ScdTEeYoICSxfLVusCs1hPSTGw3482oK2ldw8MS94dQJYSyDQ",
    ),
];

/// `message`, signed by other software with a P-384 key.
pub(super) const ES384_KEY: &str = r#"{"kty":"EC","crv":"P-384","x":"qkvzZkRo92sGlOB_9oXsF9Ha3omWgisgmtz26QqZ7Ru0jWSSUmp2MOYi0u93q4da","y":"gtE45v85qxPQcf8US6PblIsC5jNI51YhPQUnSbUvTYHCtPh1rW1qxSnZyiY2c7E6"}"#;
pub(super) const ES384_SIGNATURE: &str = "vfdYooz8I9X_MRxS928RWcV-k5ZtluBmusOgso0RIMPVHeWQhCdwJUWY5MG98OHk5V7RfD7gFq8JhjlmjeszOJLJ0SMOEpgj5jfgFqeIMDFMu6GmfG4NhusNwkHtU9Ug";
