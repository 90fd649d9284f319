//! [`Bulk`]: plain arrays, encoded as bytes and not element by element.
//!
//! Element-wise encoding of a large array is many times slower than copying it. A `Bulk` is encoded as a kind, a
//! count, and segments of at most 64 KiB of little-endian bytes; a change of an element changes only the bytes of
//! that element, so a checkpoint writes only the chunks that it lies in.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use bytemuck::Pod;
use serde::de::{DeserializeSeed, Error as _, SeqAccess, Visitor};
use serde::ser::{SerializeSeq, SerializeTuple};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[cfg(target_endian = "big")]
compile_error!("`Bulk` stores the bytes of numbers as they lie in memory, which must be little-endian");

const SEGMENT_BYTES: usize = 64 * 1024;

/// A plain array that is encoded at the speed of a copy.
///
/// ```
/// use grafos_collections::durable::Bulk;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct Model {
///     step: u64,
///     weights: Bulk<Vec<f32>>,
/// }
///
/// let mut model = Model { step: 0, weights: Bulk(vec![0.0; 1000]) };
/// model.weights[7] = 1.5; // used as the vector that it holds
/// assert_eq!(model.weights.len(), 1000);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Bulk<V>(pub V);

/// Numbers, and arrays of numbers, that a [`Bulk`] can hold. Sealed: the kind is part of the format.
pub trait Plain: Pod + sealed::Kind {}

impl<P: Pod + sealed::Kind> Plain for P {}

mod sealed {
    /// How an element is named in the format.
    pub trait Kind {
        /// The number's kind; never changes.
        const KIND: u8;
        /// How many numbers one element has.
        const LANES: u64;
    }
}

macro_rules! kinds {
    ($($kind:literal $number:ty),* $(,)?) => {
        $(impl sealed::Kind for $number {
            const KIND: u8 = $kind;
            const LANES: u64 = 1;
        })*
    };
}

kinds! {
    1 u8, 2 u16, 3 u32, 4 u64, 5 u128,
    17 i8, 18 i16, 19 i32, 20 i64, 21 i128,
    35 f32, 36 f64,
}

impl<P: sealed::Kind, const N: usize> sealed::Kind for [P; N] {
    const KIND: u8 = P::KIND;
    const LANES: u64 = P::LANES * N as u64;
}

impl<V> Deref for Bulk<V> {
    type Target = V;

    fn deref(&self) -> &V {
        &self.0
    }
}

impl<V> DerefMut for Bulk<V> {
    fn deref_mut(&mut self) -> &mut V {
        &mut self.0
    }
}

impl<V> From<V> for Bulk<V> {
    fn from(value: V) -> Self {
        Self(value)
    }
}

impl<P: Plain> Serialize for Bulk<Vec<P>> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tuple = serializer.serialize_tuple(4)?;
        tuple.serialize_element(&P::KIND)?;
        tuple.serialize_element(&P::LANES)?;
        tuple.serialize_element(&(self.0.len() as u64))?;
        tuple.serialize_element(&Segments(bytemuck::cast_slice(&self.0), segment_bytes::<P>()))?;
        tuple.end()
    }
}

/// The most whole elements that fit in a segment, in bytes.
fn segment_bytes<P: Plain>() -> usize {
    let element = element_bytes::<P>();
    (SEGMENT_BYTES / element).max(1) * element
}

/// The size of an element, which is not zero: an array without numbers does not compile.
const fn element_bytes<P: Plain>() -> usize {
    const { assert!(size_of::<P>() > 0, "a `Bulk` of arrays without numbers") };
    size_of::<P>()
}

struct Segments<'a>(&'a [u8], usize);

impl Serialize for Segments<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(Some(self.0.len().div_ceil(self.1)))?;
        for segment in self.0.chunks(self.1) {
            seq.serialize_element(&Segment(segment))?;
        }
        seq.end()
    }
}

struct Segment<'a>(&'a [u8]);

impl Serialize for Segment<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl<'de, P: Plain> Deserialize<'de> for Bulk<Vec<P>> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_tuple(4, BulkVisitor(PhantomData))
    }
}

struct BulkVisitor<P>(PhantomData<P>);

impl<'de, P: Plain> Visitor<'de> for BulkVisitor<P> {
    type Value = Bulk<Vec<P>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a plain array of kind {} with {} lanes", P::KIND, P::LANES)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let missing = || A::Error::custom("a plain array breaks off");
        let kind: u8 = seq.next_element()?.ok_or_else(missing)?;
        let lanes: u64 = seq.next_element()?.ok_or_else(missing)?;
        if (kind, lanes) != (P::KIND, P::LANES) {
            return Err(A::Error::custom(format_args!(
                "an array of other elements: expected kind={} lanes={}, found kind={kind} lanes={lanes}",
                P::KIND,
                P::LANES
            )));
        }
        let count: u64 = seq.next_element()?.ok_or_else(missing)?;
        seq.next_element_seed(SegmentsSeed(count, PhantomData))?.ok_or_else(missing).map(Bulk)
    }
}

/// All segments of an array of so many elements.
struct SegmentsSeed<P>(u64, PhantomData<P>);

impl<'de, P: Plain> DeserializeSeed<'de> for SegmentsSeed<P> {
    type Value = Vec<P>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<P>, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, P: Plain> Visitor<'de> for SegmentsSeed<P> {
    type Value = Vec<P>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "segments of {} elements in all", self.0)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<P>, A::Error> {
        let mut elements = Vec::new();
        while seq.next_element_seed(SegmentSeed { elements: &mut elements, count: self.0 })?.is_some() {}
        if elements.len() as u64 == self.0 {
            return Ok(elements);
        }
        Err(A::Error::custom(format_args!("expected {} elements, found {}", self.0, elements.len())))
    }
}

/// One segment, to be put behind the elements so far.
struct SegmentSeed<'a, P> {
    elements: &'a mut Vec<P>,
    count: u64,
}

impl<P: Plain> SegmentSeed<'_, P> {
    /// Memory grows with the bytes that have come, never with what they only announce.
    fn append<E: serde::de::Error>(self, bytes: &[u8]) -> Result<(), E> {
        let size = element_bytes::<P>();
        let more = bytes.len() / size;
        let announced = usize::try_from(self.count).unwrap_or(usize::MAX).saturating_sub(self.elements.len());
        if !bytes.len().is_multiple_of(size) || more == 0 || more > announced {
            return Err(E::custom(format_args!("a segment of {} bytes does not fit here", bytes.len())));
        }
        if self.elements.capacity() - self.elements.len() < more {
            let ahead = self.elements.len().max(more).min(announced);
            self.elements.try_reserve_exact(ahead).map_err(E::custom)?;
        }
        self.elements.extend(bytes.chunks_exact(size).map(bytemuck::pod_read_unaligned::<P>));
        Ok(())
    }
}

impl<'de, P: Plain> DeserializeSeed<'de> for SegmentSeed<'_, P> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_byte_buf(self)
    }
}

impl<'de, P: Plain> Visitor<'de> for SegmentSeed<'_, P> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the bytes of a segment")
    }

    fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<(), E> {
        self.append(bytes)
    }

    /// Formats without a byte string give one number at a time.
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let mut bytes = Vec::new();
        while let Some(byte) = seq.next_element::<u8>()? {
            bytes.push(byte);
            if bytes.len() > SEGMENT_BYTES.max(size_of::<P>()) {
                return Err(A::Error::custom("a segment is too long"));
            }
        }
        self.append(&bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes<P: Plain>(elements: Vec<P>) -> Vec<u8> {
        postcard::to_stdvec(&Bulk(elements)).unwrap()
    }

    #[test]
    fn arrays_of_every_length_around_a_segment_come_back() {
        for len in [0, 1, 8191, 8192, 8193, 16384, 100_000] {
            let array: Vec<f64> = (0..len).map(f64::from).collect();
            let back: Bulk<Vec<f64>> = postcard::from_bytes(&bytes(array.clone())).unwrap();
            assert_eq!(back.0, array);
        }
        let points = vec![[1.0_f32, 2.0, 3.0]; 30_000];
        let back: Bulk<Vec<[f32; 3]>> = postcard::from_bytes(&bytes(points.clone())).unwrap();
        assert_eq!(back.0, points);
    }

    #[test]
    fn the_encoding_is_pinned() {
        assert_eq!(bytes(vec![1_u16, 0x0203]), [2, 1, 2, 1, 4, 1, 0, 3, 2]);
    }

    #[test]
    fn another_kind_of_element_is_refused_not_reinterpreted() {
        let encoded = bytes(vec![1_u64, 2]);
        assert!(postcard::from_bytes::<Bulk<Vec<f64>>>(&encoded).is_err());
        assert!(postcard::from_bytes::<Bulk<Vec<[u64; 2]>>>(&encoded).is_err());
        assert!(postcard::from_bytes::<Bulk<Vec<u64>>>(&encoded).is_ok());
    }

    #[test]
    fn an_announced_length_allocates_nothing() {
        // kind u8, one lane, 2^63 elements, 2^63 segments, and then nothing.
        let mut huge = vec![1, 1];
        for _ in 0..2 {
            huge.extend([0x80; 9]);
            huge.push(1);
        }
        assert!(postcard::from_bytes::<Bulk<Vec<u8>>>(&huge).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = postcard::from_bytes::<Bulk<Vec<u32>>>(&bytes);
            let _ = postcard::from_bytes::<Bulk<Vec<[u16; 3]>>>(&bytes);
        }

        #[test]
        fn any_array_comes_back(array in prop::collection::vec(any::<i32>(), 0..2000)) {
            let back: Bulk<Vec<i32>> = postcard::from_bytes(&bytes(array.clone())).unwrap();
            prop_assert_eq!(back.0, array);
        }
    }
}
