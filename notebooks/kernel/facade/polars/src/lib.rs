//! The polars that rust-analyzer sees in a notebook: names and signatures only, so that `let frame = report.frame()?;` needs no type.
//! What runs is the real crate, re-exported by the library under the same paths. Add here what a notebook keeps in a variable.

pub mod error {
    pub type PolarsResult<T> = Result<T, PolarsError>;

    #[derive(Debug)]
    pub struct PolarsError {}
}

pub mod frame {
    use crate::error::PolarsResult;

    #[derive(Clone)]
    pub struct DataFrame {}

    impl DataFrame {
        pub fn height(&self) -> usize {
            unseen()
        }

        pub fn width(&self) -> usize {
            unseen()
        }

        pub fn shape(&self) -> (usize, usize) {
            unseen()
        }

        pub fn head(&self, _length: Option<usize>) -> Self {
            unseen()
        }

        pub fn tail(&self, _length: Option<usize>) -> Self {
            unseen()
        }

        pub fn slice(&self, _offset: i64, _length: usize) -> Self {
            unseen()
        }

        pub fn select<Names>(&self, _names: Names) -> PolarsResult<Self> {
            unseen()
        }

        pub fn drop(&self, _name: &str) -> PolarsResult<Self> {
            unseen()
        }

        pub fn vstack(&self, _other: &Self) -> PolarsResult<Self> {
            unseen()
        }
    }

    fn unseen<T>() -> T {
        unreachable!("only rust-analyzer reads this")
    }
}

pub mod prelude {
    pub use crate::df;
    pub use crate::error::{PolarsError, PolarsResult};
    pub use crate::frame::DataFrame;
}

#[macro_export]
macro_rules! df {
    ($($columns:tt)*) => {
        $crate::error::PolarsResult::<$crate::frame::DataFrame>::Ok(unreachable!())
    };
}
