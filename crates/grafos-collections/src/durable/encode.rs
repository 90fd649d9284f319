//! A value to bytes: counted first, then cut into aligned buffers.
//!
//! Counting costs a second pass over the value, and buys that nothing on the volume is touched by a value that
//! does not fit. For [`Bulk`](super::Bulk) arrays it costs nothing.

use grafos_std::block::AlignedBuf;
use postcard::ser_flavors::Flavor;
use serde::Serialize;

use super::error::DurableError;

/// The size of the buffers in which a payload is encoded, hashed and written: a multiple of
/// [`CHUNK_BYTES`](super::format::CHUNK_BYTES).
pub(super) const BUFFER_BYTES: usize = 1024 * 1024;

/// Part of a payload: buffer number `index`, of which the first `len` bytes count.
#[derive(Debug)]
pub(super) struct Filled {
    pub(super) index: u64,
    pub(super) buffer: AlignedBuf,
    pub(super) len: usize,
}

/// Where full buffers go and empty ones come from.
pub(super) trait BufferExchange {
    /// Takes a full buffer. `false`: stop, writing has failed.
    fn give(&mut self, filled: Filled) -> bool;
    /// An empty buffer; `None`: stop, writing has failed.
    fn take(&mut self) -> Option<AlignedBuf>;
}

/// How many bytes `value` takes.
pub(super) fn count<T: Serialize>(value: &T) -> Result<u64, DurableError> {
    postcard::serialize_with_flavor(value, Counter(0)).map_err(encode_error)
}

/// Encodes `value` into buffers. Returns how many bytes there were, or `None` if the exchange said stop.
pub(super) fn encode<T: Serialize>(
    value: &T,
    exchange: &mut dyn BufferExchange,
) -> Result<Option<u64>, DurableError> {
    let Some(buffer) = exchange.take() else { return Ok(None) };
    let mut stopped = false;
    let sink = Sink { current: Some(buffer), filled: 0, index: 0, exchange, stopped: &mut stopped };
    match postcard::serialize_with_flavor(value, sink) {
        Ok(len) => Ok(Some(len)),
        Err(_) if stopped => Ok(None),
        Err(error) => Err(encode_error(error)),
    }
}

/// Encodes `value` into `into`, which has room for exactly what [`count`] said; returns its length.
pub(super) fn encode_into<T: Serialize>(value: &T, into: &mut [u8]) -> Result<u64, DurableError> {
    let room = into.len() as u64;
    match postcard::to_slice(value, into) {
        Ok(used) => Ok(used.len() as u64),
        Err(postcard::Error::SerializeBufferFull) => {
            Err(DurableError::UnstableEncoding { counted: room, encoded: count(value)? })
        }
        Err(error) => Err(encode_error(error)),
    }
}

fn encode_error(error: postcard::Error) -> DurableError {
    DurableError::Encode { source: Box::new(error) }
}

struct Counter(u64);

impl Flavor for Counter {
    type Output = u64;

    fn try_extend(&mut self, data: &[u8]) -> postcard::Result<()> {
        self.0 += data.len() as u64;
        Ok(())
    }

    fn try_push(&mut self, _: u8) -> postcard::Result<()> {
        self.0 += 1;
        Ok(())
    }

    fn finalize(self) -> postcard::Result<u64> {
        Ok(self.0)
    }
}

struct Sink<'a> {
    /// `None` after the exchange has said stop.
    current: Option<AlignedBuf>,
    filled: usize,
    index: u64,
    exchange: &'a mut dyn BufferExchange,
    stopped: &'a mut bool,
}

impl Sink<'_> {
    /// Gives the current buffer away and takes the next.
    fn next_buffer(&mut self) -> postcard::Result<()> {
        self.give_current()?;
        match self.exchange.take() {
            Some(buffer) => self.current = Some(buffer),
            None => return self.stop(),
        }
        Ok(())
    }

    fn give_current(&mut self) -> postcard::Result<()> {
        let Some(buffer) = self.current.take() else { return self.stop() };
        let filled = Filled { index: self.index, buffer, len: self.filled };
        self.index += 1;
        self.filled = 0;
        if self.exchange.give(filled) { Ok(()) } else { self.stop() }
    }

    fn stop(&mut self) -> postcard::Result<()> {
        *self.stopped = true;
        Err(postcard::Error::SerializeBufferFull)
    }
}

impl Flavor for Sink<'_> {
    type Output = u64;

    fn try_extend(&mut self, mut data: &[u8]) -> postcard::Result<()> {
        loop {
            let Some(buffer) = self.current.as_deref_mut() else { return self.stop() };
            let room = &mut buffer[self.filled..];
            if data.len() <= room.len() {
                room[..data.len()].copy_from_slice(data);
                self.filled += data.len();
                return Ok(());
            }
            let (now, later) = data.split_at(room.len());
            room.copy_from_slice(now);
            self.filled += now.len();
            data = later;
            self.next_buffer()?;
        }
    }

    fn try_push(&mut self, data: u8) -> postcard::Result<()> {
        self.try_extend(&[data])
    }

    fn finalize(mut self) -> postcard::Result<u64> {
        let len = self.index * BUFFER_BYTES as u64 + self.filled as u64;
        self.give_current()?;
        Ok(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hands out as many buffers as it is told to.
    struct Collect {
        left: usize,
        bytes: Vec<u8>,
    }

    impl BufferExchange for Collect {
        fn give(&mut self, filled: Filled) -> bool {
            assert_eq!(filled.index * BUFFER_BYTES as u64, self.bytes.len() as u64);
            self.bytes.extend_from_slice(&filled.buffer[..filled.len]);
            true
        }

        fn take(&mut self) -> Option<AlignedBuf> {
            self.left = self.left.checked_sub(1)?;
            Some(AlignedBuf::zeroed(BUFFER_BYTES))
        }
    }

    #[test]
    fn buffers_hold_what_postcard_would_write_and_the_count_agrees() {
        let lens = [0, 1, 100, BUFFER_BYTES - 10, BUFFER_BYTES - 3, BUFFER_BYTES, 3 * BUFFER_BYTES + 7];
        for len in lens {
            let value = (vec![7_u8; len], "tail", 300_u64);
            let expected = postcard::to_stdvec(&value).unwrap();
            let mut collect = Collect { left: 10, bytes: Vec::new() };
            assert_eq!(encode(&value, &mut collect).unwrap(), Some(expected.len() as u64));
            assert_eq!(collect.bytes, expected);
            assert_eq!(count(&value).unwrap(), expected.len() as u64);
            let mut exact = vec![0; expected.len()];
            assert_eq!(encode_into(&value, &mut exact).unwrap(), expected.len() as u64);
            assert_eq!(exact, expected);
        }
    }

    #[test]
    fn an_exchange_without_buffers_stops_the_encoder() {
        for left in 0..3 {
            let mut collect = Collect { left, bytes: Vec::new() };
            assert_eq!(encode(&vec![1_u8; 3 * BUFFER_BYTES], &mut collect).unwrap(), None);
        }
    }

    #[test]
    fn a_value_that_refuses_to_be_encoded_says_so() {
        struct Refuses;
        impl Serialize for Refuses {
            fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
                Err(serde::ser::Error::custom("no"))
            }
        }
        assert!(matches!(count(&Refuses), Err(DurableError::Encode { .. })));
    }
}
