//! Writing as a stream, and reading from where not everything works.

use std::io::{self, Cursor, Write};

use grafos_kernel::checkpoint::{
    Checkpoint, CheckpointError, CheckpointMetadata, CheckpointReader, CheckpointWriter, ChunkLabel,
    ChunkType, Compression, ReadAt, Seekable, WriteOptions,
};

use crate::samples::{MIB, compressions, noise, packed, ramp, small};

/// Takes so many bytes, then fails.
struct Full {
    room: usize,
    taken: Vec<u8>,
}

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let len = bytes.len().min(self.room);
        if len == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.room -= len;
        self.taken.extend_from_slice(&bytes[..len]);
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn pieces_of_any_length_make_the_same_file() {
    let data = [ramp(MIB), noise(2 * MIB, 3), ramp(12_345)].concat();
    let metadata = CheckpointMetadata::new("k", "t");
    for compression in compressions() {
        let options = WriteOptions::new().compression(compression).threads(2);
        let whole = {
            let mut writer = CheckpointWriter::with_created_at(Vec::new(), &metadata, &options, 5).unwrap();
            writer.chunk(ChunkLabel::region("a"), &data).unwrap();
            writer.finish().unwrap().0
        };
        for piece in [1000, 65_536, MIB - 1, MIB, MIB + 1, 3 * MIB] {
            let mut writer = CheckpointWriter::with_created_at(Vec::new(), &metadata, &options, 5).unwrap();
            let mut chunk = writer.begin_chunk(ChunkLabel::region("a")).unwrap();
            data.chunks(piece).for_each(|piece| chunk.push(piece).unwrap());
            chunk.finish().unwrap();
            assert!(writer.finish().unwrap().0 == whole, "{compression}, pieces of {piece}");
        }
        let mut writer = CheckpointWriter::with_created_at(Vec::new(), &metadata, &options, 5).unwrap();
        let mut chunk = writer.begin_chunk(ChunkLabel::region("a")).unwrap();
        chunk.copy_from(&mut Cursor::new(&data), data.len() as u64).unwrap();
        chunk.finish().unwrap();
        assert!(writer.finish().unwrap().0 == whole, "{compression}, copied");
    }
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let mut checkpoint = small();
    checkpoint.add_device_memory("large", [ramp(5 * MIB), noise(4 * MIB + 1, 1)].concat());
    for compression in compressions() {
        let options = WriteOptions::new().compression(compression);
        let one = checkpoint.encode(&options.threads(1)).unwrap();
        for threads in [2, 3, 8, 64] {
            assert!(checkpoint.encode(&options.threads(threads)).unwrap() == one);
            let mut stream = Vec::new();
            checkpoint.write_to(&mut stream, &options.threads(threads)).unwrap();
            assert!(stream == one);
            let reader = CheckpointReader::open(&one).unwrap().with_threads(threads);
            assert!(reader.read_all().unwrap().chunks == checkpoint.chunks);
            assert!(reader.read_chunk(4).unwrap() == checkpoint.chunks[4].data);
        }
    }
}

#[test]
fn a_full_disk_leaves_no_checkpoint_wherever_it_fails() {
    let mut checkpoint = small();
    checkpoint.add_device_memory("large", noise(5 * MIB, 1));
    let options = WriteOptions::new().threads(2);
    let whole = checkpoint.encode(&options).unwrap().len();
    let early = (0..9).map(|step| step * 4000);
    for room in
        early.chain((1..5).map(|step| step * MIB)).chain([whole - 4097, whole - 129, whole - 128, whole - 1])
    {
        let mut sink = Full { room, taken: Vec::new() };
        match checkpoint.write_to(&mut sink, &options) {
            Err(CheckpointError::Write { offset, source }) => {
                assert!(offset <= room as u64, "{offset} of {room}");
                assert_eq!(source.kind(), io::ErrorKind::StorageFull);
            }
            other => panic!("{room}: {other:?}"),
        }
        assert!(Checkpoint::from_bytes(&sink.taken).is_err());
    }
    let mut sink = Full { room: whole, taken: Vec::new() };
    checkpoint.write_to(&mut sink, &options).unwrap();
    assert!(Checkpoint::from_bytes(&sink.taken).is_ok());
}

#[test]
fn a_writer_that_failed_stays_failed() {
    let sink = Full { room: MIB, taken: Vec::new() };
    let mut writer =
        CheckpointWriter::new(sink, &CheckpointMetadata::default(), &WriteOptions::new()).unwrap();
    assert!(writer.chunk(ChunkLabel::of(ChunkType::Custom), &noise(2 * MIB, 1)).is_err());
    let again = writer.chunk(ChunkLabel::of(ChunkType::Custom), &[]);
    assert!(matches!(again, Err(CheckpointError::WriterFailed)), "{again:?}");
    assert!(matches!(writer.finish().map(drop), Err(CheckpointError::WriterFailed)));

    let mut writer =
        CheckpointWriter::new(Vec::new(), &CheckpointMetadata::default(), &WriteOptions::new()).unwrap();
    let mut chunk = writer.begin_chunk(ChunkLabel::of(ChunkType::Custom)).unwrap();
    chunk.push(&[1]).unwrap();
    drop(chunk);
    assert!(
        matches!(writer.finish().map(drop), Err(CheckpointError::WriterFailed)),
        "a chunk was not finished"
    );
}

#[test]
fn a_source_that_is_too_short_is_said() {
    let mut writer =
        CheckpointWriter::new(Vec::new(), &CheckpointMetadata::default(), &WriteOptions::new()).unwrap();
    let mut chunk = writer.begin_chunk(ChunkLabel::of(ChunkType::Custom)).unwrap();
    let failed = chunk.copy_from(&mut Cursor::new(vec![1; 10]), 11);
    assert!(matches!(failed, Err(CheckpointError::Read { offset: 0, .. })), "{failed:?}");
}

/// Counts what is read; fails from some place on.
struct Counting<'a> {
    bytes: &'a [u8],
    read: std::sync::atomic::AtomicU64,
}

impl ReadAt for Counting<'_> {
    fn len_bytes(&self) -> io::Result<u64> {
        self.bytes.len_bytes()
    }

    fn read_exact_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        self.read.fetch_add(into.len() as u64, std::sync::atomic::Ordering::Relaxed);
        self.bytes.read_exact_at(offset, into)
    }
}

#[test]
fn opening_reads_the_index_and_a_chunk_only_itself() {
    let mut checkpoint = small();
    checkpoint.add_device_memory("large", noise(8 * MIB, 1));
    let file = checkpoint.to_bytes();
    let reader = CheckpointReader::open(Counting { bytes: &file, read: 0.into() }).unwrap();
    let _ = reader.contents().unwrap();
    assert_eq!(reader.read_chunk(0).unwrap(), checkpoint.chunks[0].data);
    let mut some = [0; 10];
    reader.read_range(4, 5 << 20, &mut some).unwrap();
    let counted = Counting { bytes: &file, read: 0.into() };
    let reader = CheckpointReader::open(&counted).unwrap();
    reader.read_range(4, (5 << 20) + 3, &mut some).unwrap();
    assert!(counted.read.into_inner() < (1 << 20) + 8192);
}

#[test]
fn a_file_and_a_cursor_are_read_alike() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.rkcp");
    for bytes in [small().encode(&packed(Compression::zstd())).unwrap(), small().to_bytes_v1().unwrap()] {
        std::fs::write(&path, &bytes).unwrap();
        let file = CheckpointReader::open(std::fs::File::open(&path).unwrap()).unwrap();
        let cursor = CheckpointReader::open(Seekable::new(Cursor::new(&bytes))).unwrap();
        file.verify().unwrap();
        assert_eq!(file.read_all().unwrap(), cursor.read_all().unwrap());
        assert_eq!(file.contents().unwrap(), Checkpoint::from_bytes(&bytes).unwrap().contents());
    }
}
