//! What a cell shows: one bundle of plain text, HTML and PNG per value; figures that compose in rows and columns.

pub mod figure;
mod film;
mod font;
pub mod grid;
mod html;
pub(crate) mod number;
mod pen;
pub mod plot;
mod records;
pub mod table;

pub use figure::Figure;
pub use film::Film;
pub(crate) use film::strip;
pub use grid::ImageGrid;
pub use plot::{Plot, Preset};
pub use table::{Cell, Table, TableDisplay};

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
