//! Bytes to a value, while they are read: buffers arrive verified and in order, and are used up one by one.

use grafos_std::block::AlignedBuf;
use grafos_std::error::FabricError;
use postcard::de_flavors::Flavor;
use serde::de::DeserializeOwned;
use typed_arena::Arena;

use super::encode::Filled;
use super::error::{DurableError, SlotFault};

/// Why a payload could not be read.
#[derive(Debug)]
pub(super) enum ReadFault {
    /// This slot is damaged; another one may be good.
    Slot(SlotFault),
    /// The lease or the host failed; no slot can be read.
    Fabric(FabricError),
}

/// Gives the buffers of a payload in order. Their bytes have been checked against their digests.
pub(super) trait BufferSource {
    fn next(&mut self) -> Result<Filled, ReadFault>;
    fn give_back(&mut self, buffer: AlignedBuf);
}

/// Why there is no value.
#[derive(Debug)]
pub(super) enum DecodeFault {
    Read(ReadFault),
    /// The bytes are good, but are not such a value.
    Value(DurableError),
}

/// Decodes checkpoint number `sequence` from its `payload_bytes`.
pub(super) fn decode<T: DeserializeOwned>(
    source: &mut impl BufferSource,
    payload_bytes: u64,
    sequence: u64,
) -> Result<T, DecodeFault> {
    let borrowed = Arena::new();
    let mut fault = None;
    let stream = Stream {
        source,
        current: None,
        at: 0,
        left: payload_bytes,
        scratch: Vec::new(),
        borrowed: &borrowed,
        fault: &mut fault,
    };
    let mut deserializer = postcard::Deserializer::from_flavor(stream);
    let value = T::deserialize(&mut deserializer);
    let unread = deserializer.finalize();
    if let Some(fault) = fault {
        return Err(DecodeFault::Read(fault));
    }
    let not_such_a_value = |source| DecodeFault::Value(DurableError::Decode { sequence, source });
    let value = value.map_err(|error| not_such_a_value(Box::new(error)))?;
    match unread {
        Ok(0) => Ok(value),
        Ok(unread) => Err(not_such_a_value(format!("{unread} bytes follow the value").into())),
        Err(error) => Err(not_such_a_value(Box::new(error))),
    }
}

struct Stream<'a, S> {
    source: &'a mut S,
    current: Option<Filled>,
    /// How much of the current buffer has been used.
    at: usize,
    /// How much of the payload has not been used.
    left: u64,
    /// For byte strings that lie across two buffers.
    scratch: Vec<u8>,
    /// For what a value borrows while it is decoded.
    borrowed: &'a Arena<u8>,
    fault: &'a mut Option<ReadFault>,
}

impl<S: BufferSource> Stream<'_, S> {
    /// The unused bytes of the current buffer: at least one, while any are left.
    fn available(&mut self) -> postcard::Result<&[u8]> {
        if self.current.as_ref().is_none_or(|filled| self.at == filled.len) {
            self.next_buffer()?;
        }
        let filled = self.current.as_ref().ok_or(postcard::Error::DeserializeUnexpectedEnd)?;
        Ok(&filled.buffer[self.at..filled.len])
    }

    fn next_buffer(&mut self) -> postcard::Result<()> {
        if let Some(used) = self.current.take() {
            self.source.give_back(used.buffer);
        }
        self.at = 0;
        match self.source.next() {
            Ok(filled) => self.current = Some(filled),
            Err(fault) => {
                *self.fault = Some(fault);
                return Err(postcard::Error::DeserializeUnexpectedEnd);
            }
        }
        Ok(())
    }

    fn announce(&self, len: usize) -> postcard::Result<()> {
        if len as u64 > self.left { Err(postcard::Error::DeserializeUnexpectedEnd) } else { Ok(()) }
    }

    fn used(&mut self, len: usize) {
        self.at += len;
        self.left -= len as u64;
    }

    /// Copies the next `len` bytes, which are announced, to `scratch`.
    fn gather(&mut self, mut len: usize) -> postcard::Result<()> {
        self.scratch.clear();
        while len > 0 {
            let available = self.available()?;
            let part = available.len().min(len);
            let (from, at) = (self.at, self.at + part);
            if let Some(filled) = &self.current {
                self.scratch.extend_from_slice(&filled.buffer[from..at]);
            }
            self.used(part);
            len -= part;
        }
        Ok(())
    }
}

impl<'de, 'a: 'de, S: BufferSource> Flavor<'de> for Stream<'a, S>
where
    S: 'de,
{
    /// How many bytes are left.
    type Remainder = u64;
    type Source = ();

    fn pop(&mut self) -> postcard::Result<u8> {
        self.announce(1)?;
        let byte = self.available()?.first().copied().ok_or(postcard::Error::DeserializeUnexpectedEnd)?;
        self.used(1);
        Ok(byte)
    }

    fn size_hint(&self) -> Option<usize> {
        usize::try_from(self.left).ok()
    }

    fn try_take_n(&mut self, len: usize) -> postcard::Result<&'de [u8]> {
        self.announce(len)?;
        self.gather(len)?;
        Ok(self.borrowed.alloc_extend(self.scratch.iter().copied()))
    }

    fn try_take_n_temp<'t>(&'t mut self, len: usize) -> postcard::Result<&'t [u8]>
    where
        'de: 't,
    {
        self.announce(len)?;
        if len > 0 && self.available()?.len() >= len {
            let from = self.at;
            self.used(len);
            return match &self.current {
                Some(filled) => Ok(&filled.buffer[from..from + len]),
                None => Err(postcard::Error::DeserializeUnexpectedEnd),
            };
        }
        self.gather(len)?;
        Ok(&self.scratch)
    }

    fn finalize(self) -> postcard::Result<u64> {
        Ok(self.left)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use serde::{Deserialize, Serialize};

    use super::*;

    /// Hands out bytes in pieces of any size.
    struct Pieces(VecDeque<Vec<u8>>);

    impl Pieces {
        fn new(bytes: &[u8], piece: usize) -> Self {
            Self(bytes.chunks(piece).map(<[u8]>::to_vec).collect())
        }
    }

    impl BufferSource for Pieces {
        fn next(&mut self) -> Result<Filled, ReadFault> {
            let bytes = self.0.pop_front().ok_or(ReadFault::Slot(SlotFault::ChunkDigest { chunk: 9 }))?;
            let mut buffer = AlignedBuf::zeroed(bytes.len());
            buffer.copy_from_slice(&bytes);
            Ok(Filled { index: 0, buffer, len: bytes.len() })
        }

        fn give_back(&mut self, _: AlignedBuf) {}
    }

    #[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
    enum Shape {
        Unit,
        Named { letter: char, text: String, maybe: Option<f64> },
        List(Vec<(u64, i128)>),
    }

    fn shapes() -> Vec<Shape> {
        let named = Shape::Named { letter: 'ß', text: "über".repeat(50), maybe: Some(-0.0) };
        vec![Shape::Unit, named, Shape::List((0..300).map(|i| (i * i, -i128::from(i))).collect())]
    }

    #[test]
    fn values_come_back_wherever_the_buffers_are_cut() {
        let bytes = postcard::to_stdvec(&shapes()).unwrap();
        for piece in (1..40).chain([1000, bytes.len()]) {
            let back: Vec<Shape> = decode(&mut Pieces::new(&bytes, piece), bytes.len() as u64, 1).unwrap();
            assert_eq!(back, shapes());
        }
    }

    #[test]
    fn types_that_borrow_while_they_are_decoded_work() {
        /// Asks for a borrowed string, as some types of other crates do.
        #[derive(Debug, PartialEq)]
        struct Upper(String);
        impl<'de> Deserialize<'de> for Upper {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Visit;
                impl serde::de::Visitor<'_> for Visit {
                    type Value = Upper;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("a string")
                    }
                    fn visit_str<E>(self, text: &str) -> Result<Upper, E> {
                        Ok(Upper(text.to_uppercase()))
                    }
                }
                deserializer.deserialize_str(Visit)
            }
        }
        let bytes = postcard::to_stdvec(&("hello", "world")).unwrap();
        let back: (Upper, Upper) = decode(&mut Pieces::new(&bytes, 2), bytes.len() as u64, 1).unwrap();
        assert_eq!(back, (Upper("HELLO".into()), Upper("WORLD".into())));
    }

    #[test]
    fn a_fault_of_the_source_is_told_apart_from_bytes_that_do_not_fit() {
        let bytes = postcard::to_stdvec(&shapes()).unwrap();
        let cut = &bytes[..bytes.len() / 2];
        let fault = decode::<Vec<Shape>>(&mut Pieces::new(cut, 7), bytes.len() as u64, 1).unwrap_err();
        assert!(matches!(fault, DecodeFault::Read(ReadFault::Slot(SlotFault::ChunkDigest { chunk: 9 }))));
        let short = decode::<Vec<Shape>>(&mut Pieces::new(cut, 7), cut.len() as u64, 5).unwrap_err();
        assert!(matches!(short, DecodeFault::Value(DurableError::Decode { sequence: 5, .. })));
        let long = decode::<u8>(&mut Pieces::new(&bytes, 7), bytes.len() as u64, 5).unwrap_err();
        assert!(matches!(long, DecodeFault::Value(DurableError::Decode { .. })));
    }

    #[test]
    fn an_announced_length_allocates_nothing() {
        let mut bytes = vec![0xff; 9];
        bytes.push(1);
        let fault = decode::<String>(&mut Pieces::new(&bytes, 4), bytes.len() as u64, 1).unwrap_err();
        assert!(matches!(fault, DecodeFault::Value(_)));
    }
}
