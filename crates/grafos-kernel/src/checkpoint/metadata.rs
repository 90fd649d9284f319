//! [`CheckpointMetadata`]: whose state it is, and at which step.

use std::collections::HashMap;

use super::bytes::{Parser, count_of, push_text};
use super::error::CheckpointError;
use super::hlc::HlcTimestamp;

/// Whose state a checkpoint holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckpointMetadata {
    /// Which kernel.
    pub kernel_id: String,
    /// Of what sort, "fdtd_3d" for instance.
    pub kernel_type: String,
    /// How many steps it has done.
    pub current_step: u64,
    /// Width, height and depth of its grid.
    pub grid_size: (u32, u32, u32),
    /// The same of a tile.
    pub tile_size: (u32, u32, u32),
    /// When it was made, on the kernel's clock.
    pub hlc_timestamp: HlcTimestamp,
    /// Whatever else the application wants to know.
    pub custom: HashMap<String, String>,
}

impl CheckpointMetadata {
    /// Metadata of a kernel at step 0.
    #[must_use]
    pub fn new(kernel_id: impl Into<String>, kernel_type: impl Into<String>) -> Self {
        Self { kernel_id: kernel_id.into(), kernel_type: kernel_type.into(), ..Self::default() }
    }

    /// At this step.
    #[must_use]
    pub fn with_step(mut self, step: u64) -> Self {
        self.current_step = step;
        self
    }

    /// With a grid of this size.
    #[must_use]
    pub fn with_grid_size(mut self, width: u32, height: u32, depth: u32) -> Self {
        self.grid_size = (width, height, depth);
        self
    }

    /// With tiles of this size.
    #[must_use]
    pub fn with_tile_size(mut self, x: u32, y: u32, z: u32) -> Self {
        self.tile_size = (x, y, z);
        self
    }

    /// Made at this time.
    #[must_use]
    pub fn with_hlc(mut self, hlc: HlcTimestamp) -> Self {
        self.hlc_timestamp = hlc;
        self
    }

    /// With one more value.
    #[must_use]
    pub fn with_custom(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.custom.insert(key.into(), value.into());
        self
    }

    /// The bytes of the metadata, the same in both versions: kernel_id and kernel_type (u32 length, UTF-8),
    /// current_step u64, grid_size 3 × u32, tile_size 3 × u32, the timestamp 3 × u64, and the count (u32) of values
    /// with a key and a text each. They are written in the order of their keys.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.len_bytes());
        push_text(&mut bytes, &self.kernel_id);
        push_text(&mut bytes, &self.kernel_type);
        bytes.extend_from_slice(&self.current_step.to_le_bytes());
        for (x, y, z) in [self.grid_size, self.tile_size] {
            for size in [x, y, z] {
                bytes.extend_from_slice(&size.to_le_bytes());
            }
        }
        let HlcTimestamp { physical, logical, node_id } = self.hlc_timestamp;
        for part in [physical, logical, node_id] {
            bytes.extend_from_slice(&part.to_le_bytes());
        }
        bytes.extend_from_slice(&count_of(self.custom.len()).to_le_bytes());
        let mut custom: Vec<_> = self.custom.iter().collect();
        custom.sort_unstable();
        for (key, value) in custom {
            push_text(&mut bytes, key);
            push_text(&mut bytes, value);
        }
        bytes
    }

    /// How long [`to_bytes`](Self::to_bytes) will be.
    pub(super) fn len_bytes(&self) -> usize {
        let fixed = 8 + 6 * 4 + 3 * 8 + 4;
        let custom: usize = self.custom.iter().map(|(key, value)| 8 + key.len() + value.len()).sum();
        fixed + 8 + self.kernel_id.len() + self.kernel_type.len() + custom
    }

    /// The metadata that the bytes are of, all of them.
    ///
    /// # Errors
    ///
    /// [`Truncated`](CheckpointError::Truncated), [`TrailingBytes`](CheckpointError::TrailingBytes) and
    /// [`NotText`](CheckpointError::NotText), with the offset in `bytes`.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CheckpointError> {
        Self::parse(bytes, 0)
    }

    /// As [`from_bytes`](Self::from_bytes), of bytes that lie at `base` in a file.
    pub(super) fn parse(bytes: &[u8], base: u64) -> Result<Self, CheckpointError> {
        let mut parser = Parser::new(bytes, base);
        let mut metadata = Self::new(parser.text("kernel_id")?, parser.text("kernel_type")?);
        metadata.current_step = parser.u64()?;
        metadata.grid_size = (parser.u32()?, parser.u32()?, parser.u32()?);
        metadata.tile_size = (parser.u32()?, parser.u32()?, parser.u32()?);
        metadata.hlc_timestamp = HlcTimestamp::new(parser.u64()?, parser.u64()?, parser.u64()?);
        // The count is not believed: each pair takes at least 8 bytes, and those must be there.
        for _ in 0..parser.u32()? {
            let key = parser.text("custom key")?;
            let offset = parser.offset();
            let value = parser.text("custom value")?;
            if metadata.custom.insert(key.to_owned(), value.to_owned()).is_some() {
                let found = metadata.custom.len() as u64;
                return Err(CheckpointError::BadField {
                    field: "a custom key that stands there twice",
                    offset,
                    expected: found + 1,
                    found,
                });
            }
        }
        parser.end("metadata")?;
        Ok(metadata)
    }
}
