//! Pictures side by side: what was found, and what it should look like.

use crate::Dataset;
use crate::display::{Figure, ImageGrid, Show};

/// A column of a gallery, one picture a class.
pub(super) struct Pictures {
    pub(super) name: String,
    pub(super) images: Vec<Vec<f32>>,
    pub(super) shape: [usize; 3],
}

/// Records as pictures; a code as a rectangle of grey squares, which is all there is to see of it.
pub(super) fn pictures(data: &Dataset) -> (Vec<Vec<f32>>, [usize; 3]) {
    let rows = |map: &dyn Fn(&[f32]) -> Vec<f32>| data.x().chunks_exact(data.features()).map(map).collect();
    if data.schema().is_none() {
        return (rows(&<[f32]>::to_vec), data.shape());
    }
    let width = (data.features() as f64).sqrt().ceil() as usize;
    let height = data.features().div_ceil(width);
    let grey = |code: &[f32]| {
        let mut image: Vec<f32> = code.iter().map(|v| f32::midpoint(*v, 1.0)).collect();
        image.resize(width * height, 1.0);
        image
    };
    (rows(&grey), [1, height, width])
}

/// Pictures of one shape side by side, one row a class. Columns of another shape (codes) are left out.
pub(super) fn side_by_side(names: &[String], columns: &[Pictures]) -> Option<Figure> {
    let shape = columns.first()?.shape;
    let fitting: Vec<_> = columns.iter().filter(|column| column.shape == shape && matches!(shape[0], 1 | 3)).collect();
    let row = |i: usize| fitting.iter().filter_map(|column| column.images.get(i).cloned()).collect::<Vec<Vec<f32>>>();
    let rows: Vec<(String, Vec<Vec<f32>>)> = names.iter().enumerate().map(|(i, name)| (name.clone(), row(i))).collect();
    let captions: Vec<&str> = fitting.iter().map(|column| column.name.as_str()).collect();
    (!captions.is_empty())
        .then(|| ImageGrid::new(rows, shape).column_captions(&captions).at_most(150 + 90 * captions.len() as u32).figure())
}
