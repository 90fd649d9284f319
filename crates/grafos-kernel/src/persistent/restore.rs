//! How a checkpoint becomes a kernel's memory again: first everything is checked, then it is copied.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use super::PersistentKernel;
use super::error::KernelError;
use super::region::{Region, name_of};
use super::staging::pieces;
use crate::checkpoint::{Checkpoint, CheckpointMetadata, CheckpointReader, ChunkLabel, Kind, ReadAt};

impl PersistentKernel {
    /// Puts the state of a full checkpoint back, behind all steps that were submitted.
    ///
    /// # Errors
    /// Before anything is changed: [`NotFull`](KernelError::NotFull), [`OtherKernel`](KernelError::OtherKernel),
    /// [`NoSuchRegion`](KernelError::NoSuchRegion), [`NoPlace`](KernelError::NoPlace),
    /// [`RegionSize`](KernelError::RegionSize), [`SnapshotUnderWay`](KernelError::SnapshotUnderWay) (which leaves an
    /// old snapshot as it is). While it is copied: [`Fabric`](KernelError::Fabric); the kernel is then restored in part,
    /// and says so until a restore succeeds.
    pub fn restore(&mut self, checkpoint: &Checkpoint) -> Result<(), KernelError> {
        self.check_owner(&checkpoint.metadata, checkpoint.kind())?;
        let chunks = checkpoint.chunks.iter().map(|chunk| (chunk.label(), chunk.data.len() as u64));
        let places = self.places(chunks)?;
        self.fill(|region, offset, into| {
            let data = &checkpoint.chunks[places[region]].data;
            let begin = usize::try_from(offset).unwrap_or(usize::MAX);
            // As long as the region: that was checked.
            if let Some(from) = data.get(begin..).and_then(|rest| rest.get(..into.len())) {
                into.copy_from_slice(from);
            }
            Ok(())
        })
    }

    /// As [`restore`](Self::restore), from a reader, piece by piece, each verified before it goes to the device. The
    /// program holds no more of the state than the staging buffers.
    ///
    /// # Errors
    /// Those of [`restore`](Self::restore), and [`Checkpoint`](KernelError::Checkpoint) if a piece can't be read or does
    /// not verify: the kernel is then restored in part.
    pub fn restore_from<R: ReadAt>(&mut self, reader: &CheckpointReader<R>) -> Result<(), KernelError> {
        self.check_owner(reader.metadata(), reader.kind())?;
        let chunks = reader.chunks().iter().map(|chunk| (chunk.label.clone(), chunk.len_bytes));
        let places = self.places(chunks)?;
        self.fill(|region, offset, into| Ok(reader.read_range(places[region], offset, into)?))
    }

    fn check_owner(&self, metadata: &CheckpointMetadata, kind: Kind) -> Result<(), KernelError> {
        if kind != Kind::Full {
            return Err(KernelError::NotFull { found: kind });
        }
        let size = |(x, y, z): (u32, u32, u32)| format!("{x}x{y}x{z}");
        let same = [
            ("kernel_id", self.kernel_id.clone(), metadata.kernel_id.clone()),
            ("kernel_type", self.kernel_type.clone(), metadata.kernel_type.clone()),
            ("grid_size", size(self.grid_size), size(metadata.grid_size)),
            ("tile_size", size(self.tile_size), size(metadata.tile_size)),
        ];
        match same.into_iter().find(|(_, expected, found)| expected != found) {
            Some((what, expected, found)) => Err(KernelError::OtherKernel { what, expected, found }),
            None => Ok(()),
        }
    }

    /// For each region the chunk with its state: each chunk is of one region, each region has one chunk.
    fn places(&self, chunks: impl Iterator<Item = (ChunkLabel, u64)>) -> Result<Vec<usize>, KernelError> {
        let mut places: Vec<Option<usize>> = vec![None; self.regions.len()];
        for (chunk, (label, found)) in chunks.enumerate() {
            let no_place = || KernelError::NoPlace { chunk, region: name_of(&label) };
            let index = self.regions.iter().position(|region| region.is_of(&label)).ok_or_else(no_place)?;
            if places[index].replace(chunk).is_some() {
                return Err(no_place());
            }
            let Region { name, .. } = &self.regions[index];
            let expected = self.regions[index].len_bytes();
            if expected != found {
                return Err(KernelError::RegionSize { region: name.clone(), expected, found });
            }
        }
        let regions = self.regions.iter().zip(places);
        let missing = |region: &Region| KernelError::NoSuchRegion { region: region.name.clone() };
        regions.map(|(region, place)| place.ok_or_else(|| missing(region))).collect()
    }

    fn fill(
        &mut self,
        mut give: impl FnMut(usize, u64, &mut [u8]) -> Result<(), KernelError>,
    ) -> Result<(), KernelError> {
        // Snapshots borrow the kernel, so that one is under way here only if it was leaked; its copy is left alone.
        if self.snapshot_under_way.load(Ordering::Acquire) {
            return Err(KernelError::SnapshotUnderWay);
        }
        self.restored_in_part = true;
        let Self { regions, session, staging, .. } = self;
        let ring = staging.get_mut().unwrap_or_else(PoisonError::into_inner);
        let pieces = pieces(regions.iter().map(Region::len_bytes), ring.piece_bytes());
        let stream = session.default_stream();
        ring.fill(
            session,
            &stream,
            pieces,
            |region| &regions[region].memory,
            |piece, into| give(piece.region, piece.offset, into),
        )?;
        session.stream_sync(&stream)?;
        self.restored_in_part = false;
        Ok(())
    }
}
