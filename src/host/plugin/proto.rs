//! The code generated from `proto/`. Nobody outside `plugin` sees it.

/// The modules must be siblings: `pb` refers to `super::logical`.
macro_rules! generated {
    ($($name:ident = $package:literal),*) => {$(
        #[expect(
            unreachable_pub,
            unused_qualifications,
            clippy::all,
            clippy::restriction,
            clippy::pedantic,
            reason = "generated code keeps its own rules"
        )]
        pub(super) mod $name {
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
