//! What a notebook's cells see as `freelunch`: a door to the library that `cargo build` made.
//!
//! The kernel compiles every cell anew and asks cargo, rustc and rust-analyzer about all that the cell depends on. With the library
//! itself as a dependency that is some 350 packages a cell; with this crate it is none:
//!
//! * rustc finds the finished library by the flags that `launch.py` writes into the kernel's start-up file.
//! * rust-analyzer, from which the kernel learns the type of a variable, reads the library's sources through the link `library`.
//!   Its view of other crates is empty but for the few types that appear in our signatures, such as `polars/src/lib.rs`.

#[cfg(not(rust_analyzer))]
pub use freelunch_built::*;

#[cfg(rust_analyzer)]
#[path = "library/lib.rs"]
mod source;

#[cfg(rust_analyzer)]
pub use source::*;
