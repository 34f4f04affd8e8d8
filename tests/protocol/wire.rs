//! The generated code, from the host's end.

macro_rules! generated {
    ($($name:ident = $package:literal),*) => {$(
        #[expect(
            unused_qualifications,
            clippy::all,
            clippy::restriction,
            clippy::pedantic,
            reason = "generated code keeps its own rules"
        )]
        pub mod $name {
            tonic::include_proto!($package);
        }
    )*};
}

generated!(
    pb = "pb",
    logical = "logical",
    goplugin = "plugin",
    multiplexing = "pluginutil.multiplexing"
);
