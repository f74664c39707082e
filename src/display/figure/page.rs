//! A figure as HTML and as plain text.

use super::{Content, Figure};
use crate::Result;
use crate::display::dots;
use crate::display::font;
use crate::display::html::{data_uri, escape, svg_uri};
use crate::display::pen::{self, Drawing, Resolution};
use crate::display::{ImageGrid, Plot};

/// Drawings bring their own white ground, so that a dark page does not swallow their dark lines.
const PANEL: &str =
    "display:inline-block;max-width:100%;box-sizing:border-box;background:#ffffff;color:#222222;border-radius:6px;padding:6px";

/// One piece of HTML for a notebook cell.
pub(super) fn html(figure: &Figure) -> String {
    let body = match &figure.content {
        Content::Plot(plot) => drawn(plot_html(plot, figure.look.families())),
        Content::Grid(grid) => drawn(grid_html(grid)),
        Content::Moving(animation) => drawn(animation.html()),
        Content::Table(table) => format!("<div style=\"overflow-x:auto\">{}</div>", table.to_html()),
        Content::Text(text) => format!("<div style=\"white-space:pre-wrap\">{}</div>", escape(text)),
        Content::Failure(text) => failure(text),
        Content::Row(parts) => flow(parts, "row"),
        Content::Column(parts) => flow(parts, "column"),
    };
    let title = wrapped("<div style=\"font-weight:bold;margin:2px 0 6px 0\">", &figure.title, "</div>");
    // No wider than the picture, so that captions of a row do not push the pictures apart.
    let room = drawn_width(figure).map_or("60em".to_string(), |width| format!("{}px", width.max(240)));
    let look = format!("font-size:0.9em;opacity:0.8;margin:4px 0 2px 0;max-width:{room}");
    let caption = wrapped(&format!("<figcaption style=\"{look}\">"), &figure.caption, "</figcaption>");
    let family = figure.look.families().map_or(String::new(), |families| format!(";font-family:{families}"));
    let size = figure.look.points().map_or(String::new(), |points| format!(";font-size:{points}pt"));
    format!("<figure style=\"margin:0;max-width:100%{family}{size}\">{title}{body}{caption}</figure>")
}

/// What a pointer over the picture shows: the whole text is for screen readers.
pub(super) fn first_clause(words: &str) -> &str {
    words.split(';').next().unwrap_or(words)
}

fn drawn_width(figure: &Figure) -> Option<u32> {
    match &figure.content {
        Content::Plot(plot) => plot.extent().ok().map(|(width, _)| width),
        Content::Grid(grid) => grid.extent().ok().map(|(width, _)| width),
        _ => None,
    }
}

/// A whole HTML file, light or dark as the reader's system is.
pub(super) fn document(figure: &Figure) -> String {
    let title = escape(if figure.title.is_empty() { "freelunch" } else { &figure.title });
    let head = format!("<meta charset=\"utf-8\"><meta name=\"color-scheme\" content=\"light dark\"><title>{title}</title>");
    let body = html(figure);
    format!("<!DOCTYPE html>\n<html lang=\"en\"><head>{head}</head><body style=\"font-family:sans-serif\">{body}</body></html>\n")
}

fn wrapped(before: &str, text: &str, after: &str) -> String {
    if text.is_empty() { String::new() } else { format!("{before}{}{after}", escape(text)) }
}

fn drawn(html: Result<String>) -> String {
    match html {
        Ok(html) => format!("<div style=\"{PANEL}\">{html}</div>"),
        Err(error) => failure(&error.to_string()),
    }
}

fn failure(text: &str) -> String {
    format!("<pre style=\"white-space:pre-wrap;border-left:4px solid #d55e00;padding-left:8px\">could not be shown: {}</pre>", escape(text))
}

fn flow(parts: &[Figure], direction: &str) -> String {
    let parts: String = parts.iter().map(|part| format!("<div style=\"max-width:100%\">{}</div>", html(part))).collect();
    let wrap = if direction == "row" { "wrap" } else { "nowrap" };
    format!("<div style=\"display:flex;flex-direction:{direction};flex-wrap:{wrap};gap:12px;align-items:flex-start\">{parts}</div>")
}

fn plot_html(plot: &Plot, families: Option<String>) -> Result<String> {
    let (width, height) = plot.extent()?;
    let words = plot.in_words();
    let (title, words) = (escape(first_clause(&words)), escape(&words));
    let drawn = pen::svg(plot, (0, 0))?;
    let body = families.map_or(drawn.clone(), |families| font::in_families(&drawn, &families));
    // As a picture: notebooks from elsewhere are cleaned of SVG elements (JupyterLab until they are trusted, GitHub always), but keep images.
    let address = svg_uri(&format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\">{body}</svg>"
    ));
    Ok(format!(
        "<img src=\"{address}\" width=\"{width}\" height=\"{height}\" alt=\"{words}\" title=\"{title}\" \
         style=\"display:block;max-width:100%;height:auto\">"
    ))
}

fn grid_html(grid: &ImageGrid) -> Result<String> {
    let image = pen::raster(grid, Resolution::Screen)?;
    let (width, height) = image.dimensions();
    let (address, words) = (data_uri(&dots::png(&image, Resolution::Screen)?), escape(&grid.in_words()));
    Ok(format!(
        "<img src=\"{address}\" width=\"{width}\" height=\"{height}\" alt=\"{words}\" \
         style=\"display:block;image-rendering:pixelated;max-width:100%;height:auto\">"
    ))
}

/// The figure for terminals and logs.
pub(super) fn text(figure: &Figure) -> String {
    let body = match &figure.content {
        Content::Plot(plot) => plot.in_lines(),
        Content::Grid(grid) => grid.in_words(),
        Content::Table(table) => table.to_text(),
        Content::Moving(animation) => animation.in_words(),
        Content::Text(text) => text.clone(),
        Content::Failure(text) => format!("could not be shown: {text}"),
        Content::Row(parts) | Content::Column(parts) => parts.iter().map(text).collect::<Vec<_>>().join("\n\n"),
    };
    [figure.title.as_str(), body.as_str(), figure.caption.as_str()]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::display::Show;

    #[test]
    fn titles_and_captions_are_escaped() {
        let html = html(&Figure::text("a <b> c").titled("<script>alert(1)</script>").captioned("x & y"));
        assert!(html.contains("&lt;script&gt;") && html.contains("x &amp; y") && html.contains("a &lt;b&gt; c"));
        assert!(!html.contains("<script"));
    }

    #[test]
    fn drawings_have_a_light_ground_and_tables_the_page_s() {
        assert!(html(&Plot::new("p").figure()).contains("background:#ffffff"));
        assert!(!html(&crate::display::Table::new(["a"]).figure()).contains("background"));
    }

    #[test]
    fn text_names_what_cannot_be_printed() {
        let plot = Plot::new("ROC").x_label("FPR").y_label("TPR").line("LiRA", &[(0.0, 0.0), (1.0, 1.0)]).caption("n = 10");
        assert_eq!(text(&plot.figure()), "ROC: TPR against FPR\n  line LiRA from (0, 0) to (1, 1)\nn = 10");
        assert_eq!(text(&Figure::row([Figure::text("a"), Figure::text("b")]).titled("t")), "t\na\n\nb");
    }
}
