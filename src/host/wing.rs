//! How a wing of the house declares what it works with.

/// Declares the context of a request on a wing: the wing's own stores, and all that
/// the wings below have. A function takes the context of the lowest wing that it
/// needs, and is called with that of any wing above.
macro_rules! wing {
    ($field:ident: $Stores:ty, $Below:ty) => {
        /// The context of a request on this wing. It has what the wings below have.
        #[derive(Debug)]
        pub struct Cx {
            /// The stores of this wing.
            pub $field: std::sync::Arc<$Stores>,
            below: $Below,
        }

        impl Cx {
            /// The context, over that of the wing below.
            #[must_use]
            pub const fn new($field: std::sync::Arc<$Stores>, below: $Below) -> Self {
                Self { $field, below }
            }

            /// The same request later.
            #[must_use]
            pub fn resumed(&self) -> Self {
                Self {
                    $field: std::sync::Arc::clone(&self.$field),
                    below: self.below.resumed(),
                }
            }
        }

        impl std::ops::Deref for Cx {
            type Target = $Below;

            fn deref(&self) -> &$Below {
                &self.below
            }
        }
    };
}

pub(crate) use wing;
