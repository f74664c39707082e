//! What a cell shows: one bundle of plain text, HTML and PNG per value; figures that compose in rows and columns.

mod animation;
mod dots;
pub mod figure;
mod film;
mod font;
pub mod grid;
mod html;
pub(crate) mod number;
mod palette;
mod pen;
pub mod plot;
pub mod preset;
mod records;
pub mod table;

pub use figure::Figure;
pub use film::Film;
pub(crate) use film::strip;
pub use grid::ImageGrid;
pub use plot::Plot;
pub use preset::Preset;
pub use table::{Cell, Table, TableDisplay};

use crate::Result;

/// The three forms of one display; a notebook front end picks the richest it can show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// `text/plain`, for terminals.
    pub text: String,
    /// `text/html`, self-contained: inline SVG or base64 PNG, no script, no external file.
    pub html: String,
    /// `image/png`, the fallback where HTML is not shown.
    pub png: Vec<u8>,
}

/// A value that can show itself. Every such type of this library also has an inherent `evcxr_display`, which is what the
/// notebook kernel calls; it needs no import.
pub trait Show {
    /// The picture of this value. Never fails: what cannot be drawn is shown as its error text.
    fn figure(&self) -> Figure;

    /// Text, HTML and PNG of this value; pure, so it can be tested without a kernel.
    fn bundle(&self) -> Bundle {
        self.figure().bundle()
    }

    /// The tables of this value for LaTeX (`booktabs`), every row of them.
    ///
    /// # Errors
    /// As [`Figure::to_latex`].
    fn to_latex(&self) -> Result<String> {
        self.figure().to_latex()
    }

    /// The tables of this value as GitHub's Markdown, every row of them.
    ///
    /// # Errors
    /// As [`Figure::to_latex`].
    fn to_markdown(&self) -> Result<String> {
        self.figure().to_markdown()
    }

    /// The table of this value as CSV, every row with every digit.
    ///
    /// # Errors
    /// As [`Figure::to_csv`].
    fn to_csv(&self) -> Result<String> {
        self.figure().to_csv()
    }
}

/// Prints a bundle in the protocol of the evcxr kernel: one block per MIME type.
pub fn send(bundle: &Bundle) {
    evcxr_runtime::mime_type("text/plain").text(&bundle.text);
    evcxr_runtime::mime_type("text/html").text(&bundle.html);
    if !bundle.png.is_empty() {
        evcxr_runtime::mime_type("image/png").bytes(&bundle.png);
    }
}

/// Gives types that [`Show`] themselves the inherent method that the notebook kernel calls.
macro_rules! show_inline {
    ($($kind:ty),+ $(,)?) => {$(
        impl $kind {
            /// Shows this value in a notebook cell: text, HTML and PNG in one bundle.
            pub fn evcxr_display(&self) {
                $crate::display::send(&$crate::display::Show::bundle(self));
            }
        }
    )+};
}
pub(crate) use show_inline;
