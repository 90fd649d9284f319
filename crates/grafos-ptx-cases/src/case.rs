//! [`Case`]: buffers, launches, and what must be in memory afterwards.

use std::fmt;

use bytemuck::NoUninit;

/// A test of one kernel, or of several that work together.
#[derive(Clone, Debug)]
pub struct Case {
    /// Unique among the cases of a module: the kernel and what is special about its input.
    pub name: String,
    /// The file of `kernels/` without its extension.
    pub module: &'static str,
    /// Device memory, each buffer an allocation of its own. None is empty.
    pub buffers: Vec<Buffer>,
    /// Launches, one after the other on the same memory. The module is loaded afresh for each case.
    pub steps: Vec<Step>,
    /// What all launches together print.
    pub printed: Vec<u8>,
    /// How the last launch ends.
    pub ending: Ending,
}

/// How a launch ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// All threads return.
    Completes,
    /// An assertion of the kernel fails. Then the buffers and the output are unspecified.
    AssertionFails,
}

/// One launch.
#[derive(Clone, Debug)]
pub struct Step {
    /// The name of the kernel.
    pub kernel: &'static str,
    /// How many blocks, along x, y and z.
    pub grid: [u32; 3],
    /// How many threads a block has, along x, y and z.
    pub block: [u32; 3],
    /// Dynamic shared memory of each block.
    pub shared_bytes: u32,
    /// One for each parameter, in order.
    pub args: Vec<Arg>,
}

/// A buffer of the case, by its place in [`Case::buffers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BufferIndex(pub usize);

/// A parameter of a kernel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Arg {
    /// The address of a buffer, 8 bytes.
    Buffer(BufferIndex),
    /// 2 bytes.
    U16(u16),
    /// 4 bytes.
    U32(u32),
    /// 8 bytes.
    U64(u64),
    /// 4 bytes.
    F32(f32),
    /// 8 bytes.
    F64(f64),
}

impl Arg {
    /// The bytes of the parameter, little-endian, given where a buffer lies.
    pub fn to_bytes(self, address_of: impl FnOnce(BufferIndex) -> u64) -> Vec<u8> {
        match self {
            Self::Buffer(buffer) => address_of(buffer).to_le_bytes().to_vec(),
            Self::U16(value) => value.to_le_bytes().to_vec(),
            Self::U32(value) => value.to_le_bytes().to_vec(),
            Self::U64(value) => value.to_le_bytes().to_vec(),
            Self::F32(value) => value.to_le_bytes().to_vec(),
            Self::F64(value) => value.to_le_bytes().to_vec(),
        }
    }
}

macro_rules! arg_from {
    ($($from:ty => $variant:ident),*) => {
        $(impl From<$from> for Arg {
            fn from(value: $from) -> Self {
                Self::$variant(value)
            }
        })*
    };
}
arg_from!(BufferIndex => Buffer, u16 => U16, u32 => U32, u64 => U64, f32 => F32, f64 => F64);

/// A piece of device memory: before, and as it must be after the last launch.
#[derive(Clone, Debug)]
pub struct Buffer {
    /// The parameter that gets it.
    pub name: &'static str,
    /// What it holds before the first launch.
    pub initial: Vec<u8>,
    /// What it holds after the last one. As long as `initial`.
    pub expected: Vec<u8>,
    /// How close to `expected` the result has to be.
    pub check: Check,
}

/// How a buffer is compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Check {
    /// Bit by bit.
    Exact,
    /// Floats of 32 bits, each at most `absolute + relative * |expected|` away. For kernels that use approximate
    /// functions.
    Near {
        /// In the unit of the values.
        absolute: f64,
        /// As a share of the expected value.
        relative: f64,
    },
}

/// The first place where a buffer is not as it must be.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The buffer.
    pub buffer: &'static str,
    /// Counted from its start.
    pub offset_bytes: usize,
    /// What should be there: up to eight bytes, or the float.
    pub expected: Vec<u8>,
    /// What is there.
    pub found: Vec<u8>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { buffer, offset_bytes, expected, found } = self;
        write!(
            f,
            "buffer `{buffer}` differs: offset_bytes={offset_bytes}, expected={expected:02x?}, found={found:02x?}"
        )
    }
}

impl Buffer {
    /// Compares what a run left with what must be there.
    ///
    /// # Errors
    /// The first [`Difference`]; a wrong length is one at the end of the shorter.
    pub fn verify(&self, found: &[u8]) -> Result<(), Difference> {
        let differs = |offset: usize, size: usize| Difference {
            buffer: self.name,
            offset_bytes: offset,
            expected: self.expected.iter().skip(offset).take(size).copied().collect(),
            found: found.iter().skip(offset).take(size).copied().collect(),
        };
        if found.len() != self.expected.len() {
            return Err(differs(found.len().min(self.expected.len()), 8));
        }
        match self.check {
            Check::Exact => match found.iter().zip(&self.expected).position(|(a, b)| a != b) {
                Some(offset) => Err(differs(offset - offset % 4, 8)),
                None => Ok(()),
            },
            Check::Near { absolute, relative } => {
                let is_near = |(found, expected): (&[u8], &[u8])| {
                    let (found, expected) = (float(found), float(expected));
                    (found - expected).abs() <= absolute + relative * expected.abs()
                };
                match found.chunks(4).zip(self.expected.chunks(4)).position(|pair| !is_near(pair)) {
                    Some(index) => Err(differs(index * 4, 4)),
                    None => Ok(()),
                }
            }
        }
    }
}

/// A float of 32 bits; anything shorter is near to nothing.
fn float(bytes: &[u8]) -> f64 {
    bytes.try_into().map_or(f64::NAN, |bytes| f64::from(f32::from_le_bytes(bytes)))
}

/// What lies behind the elements of a buffer, and must still lie there afterwards.
const CANARY: [u8; 16] = [0xA5; 16];

impl Case {
    pub(crate) fn new(module: &'static str, name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            module,
            buffers: Vec::new(),
            steps: Vec::new(),
            printed: Vec::new(),
            ending: Ending::Completes,
        }
    }

    /// A buffer that no launch changes.
    pub(crate) fn input<T: NoUninit>(&mut self, name: &'static str, elements: &[T]) -> BufferIndex {
        self.output(name, elements, elements)
    }

    /// A buffer that must be bit by bit as `after` says.
    pub(crate) fn output<T: NoUninit>(
        &mut self,
        name: &'static str,
        before: &[T],
        after: &[T],
    ) -> BufferIndex {
        self.buffer(name, before, after, Check::Exact)
    }

    /// A buffer with a tolerance; 16 bytes more than the elements, which nobody may touch.
    pub(crate) fn buffer<T: NoUninit>(
        &mut self,
        name: &'static str,
        before: &[T],
        after: &[T],
        check: Check,
    ) -> BufferIndex {
        let bytes = |elements: &[T]| [bytemuck::cast_slice(elements), &CANARY].concat();
        self.buffers.push(Buffer { name, initial: bytes(before), expected: bytes(after), check });
        BufferIndex(self.buffers.len() - 1)
    }

    /// A launch of `blocks` blocks of `threads` threads, all along x.
    pub(crate) fn launch(&mut self, kernel: &'static str, blocks: u32, threads: u32, args: Vec<Arg>) {
        self.launch_with(kernel, [blocks, 1, 1], [threads, 1, 1], 0, args);
    }

    pub(crate) fn launch_with(
        &mut self,
        kernel: &'static str,
        grid: [u32; 3],
        block: [u32; 3],
        shared_bytes: u32,
        args: Vec<Arg>,
    ) {
        self.steps.push(Step { kernel, grid, block, shared_bytes, args });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buffer(check: Check) -> Buffer {
        let bytes: Vec<u8> = bytemuck::cast_slice(&[1.0_f32, -100.0]).to_vec();
        Buffer { name: "y", initial: bytes.clone(), expected: bytes, check }
    }

    fn found(values: [f32; 2]) -> Vec<u8> {
        bytemuck::cast_slice(&values).to_vec()
    }

    #[test]
    fn an_exact_buffer_takes_no_other_bit() {
        let exact = buffer(Check::Exact);
        assert_eq!(exact.verify(&found([1.0, -100.0])), Ok(()));
        let difference = exact.verify(&found([1.0, -100.00001])).unwrap_err();
        assert_eq!(difference.offset_bytes, 4);
        assert!(difference.to_string().contains("buffer `y` differs: offset_bytes=4"), "{difference}");
        assert!(exact.verify(&found([1.0, -100.0])[..7]).is_err());
    }

    #[test]
    fn a_near_buffer_takes_what_lies_within_and_no_number_that_is_none() {
        let near = buffer(Check::Near { absolute: 0.5, relative: 0.01 });
        assert_eq!(near.verify(&found([1.5, -101.5])), Ok(()));
        assert_eq!(near.verify(&found([1.52, -100.0])).unwrap_err().offset_bytes, 0);
        assert_eq!(near.verify(&found([1.0, -98.0])).unwrap_err().offset_bytes, 4);
        assert!(near.verify(&found([f32::NAN, -100.0])).is_err());
    }

    #[test]
    fn parameters_are_little_endian() {
        assert_eq!(Arg::from(0x0102_u16).to_bytes(|_| 0), [2, 1]);
        assert_eq!(Arg::Buffer(BufferIndex(3)).to_bytes(|index| index.0 as u64), [3, 0, 0, 0, 0, 0, 0, 0]);
    }
}
