//! [`draw`]: slices of the field side by side, as a PNG.
//!
//! Red is above the pressure of silence, blue below it, white silence. The root of the pressure is drawn, as a share of
//! the loudest of its slice, so that faint echoes are seen beside the sound itself.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use png::{BitDepth, ColorType, Encoder, EncodingError};

use crate::error::RunError;
use crate::slice::Slice;

/// An edge of a slice takes about so many pixels.
const EDGE: usize = 240;

/// Pixels around the slices.
const GAP: usize = 8;

const PAPER: [u8; 3] = [255; 3];
const FRAME: [u8; 3] = [96; 3];

/// Draws slices from left to right. What lay at `path` is replaced when the picture is whole.
///
/// # Errors
/// [`RunError::Picture`], [`RunError::Output`].
pub fn draw(slices: &[Slice], path: &Path) -> Result<(), RunError> {
    let output = |source| RunError::Output { path: path.to_path_buf(), source };
    // Beside it, so that the move can't cross file systems.
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".new-{}", std::process::id()));
    let new = path.with_file_name(name);
    let file = File::create(&new).map_err(output)?;
    let drawn = encode(slices, BufWriter::new(&file))
        .map_err(|source| RunError::Picture { path: path.to_path_buf(), source })
        .and_then(|()| file.sync_all().map_err(output))
        .and_then(|()| fs::rename(&new, path).map_err(output));
    if drawn.is_err() {
        // It failed already; what is left is of no use.
        let _ = fs::remove_file(&new);
    }
    drawn
}

fn encode(slices: &[Slice], to: impl Write) -> Result<(), EncodingError> {
    let canvas = Canvas::of(slices);
    let pixels = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
    let mut encoder = Encoder::new(to, pixels(canvas.width), pixels(canvas.height));
    encoder.set_color(ColorType::Rgb);
    encoder.set_depth(BitDepth::Eight);
    let steps: Vec<_> = slices.iter().map(|slice| slice.step.to_string()).collect();
    let text = format!("A slice of the pressure behind steps {}", steps.join(", "));
    encoder.add_text_chunk("Description".to_owned(), text)?;
    let mut writer = encoder.write_header()?;
    writer.write_image_data(canvas.pixels.as_flattened())?;
    writer.finish()
}

struct Canvas {
    width: usize,
    height: usize,
    pixels: Vec<[u8; 3]>,
}

impl Canvas {
    fn of(slices: &[Slice]) -> Self {
        let edges = slices.iter().map(edge);
        let width = GAP + edges.clone().map(|edge| edge + GAP).sum::<usize>();
        let height = edges.max().unwrap_or(0) + 2 * GAP;
        let mut canvas = Self { width, height, pixels: vec![PAPER; width * height] };
        let mut left = GAP;
        for slice in slices {
            canvas.draw(slice, left);
            left += edge(slice) + GAP;
        }
        canvas
    }

    fn draw(&mut self, slice: &Slice, left: usize) {
        let loudest = slice.pressure.iter().fold(0.0, |most: f32, pressure| most.max(pressure.abs()));
        let (edge, scale) = (edge(slice), scale(slice));
        for row in 0..edge {
            for column in 0..edge {
                let at = (row / scale) * slice.size as usize + column / scale;
                let share = slice.pressure.get(at).map_or(0.0, |pressure| pressure / loudest);
                self.set(left + column, GAP + row, color(share));
            }
        }
        for along in 0..edge + 2 {
            for (x, y) in [(along, 0), (along, edge + 1), (0, along), (edge + 1, along)] {
                self.set(left + x - 1, GAP + y - 1, FRAME);
            }
        }
    }

    fn set(&mut self, x: usize, y: usize, color: [u8; 3]) {
        if let Some(pixel) = self.pixels.get_mut(y * self.width + x) {
            *pixel = color;
        }
    }
}

/// How many pixels a cell is wide.
fn scale(slice: &Slice) -> usize {
    (EDGE / slice.size.max(1) as usize).max(1)
}

fn edge(slice: &Slice) -> usize {
    slice.size as usize * scale(slice)
}

/// From −1, blue, over 0, white, to 1, red. A silent slice has no share: white.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 255")]
fn color(share: f32) -> [u8; 3] {
    let strength = if share.is_finite() { share.abs().min(1.0).sqrt() } else { 0.0 };
    let [red, green, blue] = if share > 0.0 { [178.0, 24.0, 43.0] } else { [33.0, 102.0, 172.0] };
    [red, green, blue].map(|full: f32| (255.0 + (full - 255.0) * strength).round() as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slice(size: u32, pressure: Vec<f32>) -> Slice {
        Slice { step: 7, size, pressure }
    }

    #[test]
    fn a_slice_is_drawn_cell_by_cell() {
        let canvas = Canvas::of(&[slice(2, vec![1.0, 0.0, -1.0, 0.25])]);
        assert_eq!((canvas.width, canvas.height), (256, 256));
        let pixel = |x: usize, y: usize| canvas.pixels[y * canvas.width + x];
        let (first, second) = (GAP + 60, GAP + 180);
        assert_eq!(pixel(first, first), [178, 24, 43]);
        assert_eq!(pixel(second, first), PAPER);
        assert_eq!(pixel(first, second), [33, 102, 172]);
        assert_eq!(pixel(second, second), [217, 140, 149], "half as strong, for a quarter of the pressure");
        assert_eq!((pixel(0, 0), pixel(GAP - 1, GAP)), (PAPER, FRAME));
    }

    #[test]
    fn silence_is_white_and_nothing_is_drawn_of_numbers_that_are_none() {
        for pressure in [0.0, f32::NAN] {
            let canvas = Canvas::of(&[slice(4, vec![pressure; 16])]);
            assert!(canvas.pixels.iter().all(|pixel| [PAPER, FRAME].contains(pixel)), "{pressure}");
        }
    }

    #[test]
    fn a_picture_replaces_the_one_before_it_or_leaves_it_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("wave.png");
        fs::write(&path, "old").unwrap();
        draw(&[slice(4, vec![0.5; 16]), slice(4, vec![0.5; 16])], &path).unwrap();
        let mut reader =
            png::Decoder::new(std::io::BufReader::new(File::open(&path).unwrap())).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let frame = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((frame.width, frame.height), (504, 256));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        assert!(draw(&[], &dir.path().join("no/such/place.png")).is_err());
    }
}
