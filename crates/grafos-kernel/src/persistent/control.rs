//! [`ControlBlock`]: what host and kernel agree on, in the first bytes of device memory that a kernel looks at. The
//! format, and nothing that moves it.
//!
//! ```text
//! integers are little-endian
//! +--------+-----+------------------------------------------------------------------------------+
//! | offset | len | field                                                                        |
//! +--------+-----+------------------------------------------------------------------------------+
//! |      0 |   8 | steps_done: how many steps the kernel has done. Written by the kernel        |
//! |      8 |   8 | stop_at: it begins no step when it has done so many. Written by the host     |
//! |     16 |   4 | running: 1 if the next step is done. Written by both, never at the same time |
//! |     20 |   4 | stop: the host asks to end behind the step that is being done                |
//! |     24 |  40 | zeros                                                                        |
//! |     64 | 192 | the application's parameters                                                 |
//! +--------+-----+------------------------------------------------------------------------------+
//! ```

/// Bytes of a control block.
pub const CONTROL_BLOCK_BYTES: usize = 256;

pub(super) const STEPS_DONE_AT: usize = 0;
const STOP_AT_AT: usize = STEPS_DONE_AT + 8;
const RUNNING_AT: usize = STOP_AT_AT + 8;
pub(super) const STOP_AT: usize = RUNNING_AT + 4;
const APPLICATION_AT: usize = 64;

/// Bytes of a control block that are the application's.
pub const APPLICATION_BYTES: usize = CONTROL_BLOCK_BYTES - APPLICATION_AT;

/// The control block of a persistent kernel.
///
/// ```
/// use grafos_kernel::persistent::ControlBlock;
///
/// let mut block = ControlBlock { stop_at: 1000, ..ControlBlock::default() };
/// block.application[..4].copy_from_slice(&64_u32.to_le_bytes());
/// assert_eq!(ControlBlock::from_bytes(&block.to_bytes()), block);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ControlBlock {
    /// How many steps the kernel has done.
    pub steps_done: u64,
    /// It begins no step when it has done so many.
    pub stop_at: u64,
    /// Whether the next step is done.
    pub running: bool,
    /// Whether the host has asked to end behind the step that is being done.
    pub stop: bool,
    /// The application's parameters.
    pub application: [u8; APPLICATION_BYTES],
}

impl ControlBlock {
    /// The bytes in device memory.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; CONTROL_BLOCK_BYTES] {
        let mut bytes = [0; CONTROL_BLOCK_BYTES];
        bytes[STEPS_DONE_AT..STOP_AT_AT].copy_from_slice(&self.steps_done.to_le_bytes());
        bytes[STOP_AT_AT..RUNNING_AT].copy_from_slice(&self.stop_at.to_le_bytes());
        bytes[RUNNING_AT..STOP_AT].copy_from_slice(&u32::from(self.running).to_le_bytes());
        bytes[STOP_AT..STOP_AT + 4].copy_from_slice(&u32::from(self.stop).to_le_bytes());
        bytes[APPLICATION_AT..].copy_from_slice(&self.application);
        bytes
    }

    /// What the bytes say. Every bytes are a control block.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; CONTROL_BLOCK_BYTES]) -> Self {
        let mut application = [0; APPLICATION_BYTES];
        application.copy_from_slice(&bytes[APPLICATION_AT..]);
        Self {
            steps_done: u64_at(bytes, STEPS_DONE_AT),
            stop_at: u64_at(bytes, STOP_AT_AT),
            running: bytes[RUNNING_AT..STOP_AT] != [0; 4],
            stop: bytes[STOP_AT..STOP_AT + 4] != [0; 4],
            application,
        }
    }
}

impl Default for ControlBlock {
    fn default() -> Self {
        Self { steps_done: 0, stop_at: 0, running: false, stop: false, application: [0; APPLICATION_BYTES] }
    }
}

/// The number at `at`; zeros behind the end.
pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut number = [0; 8];
    for (to, from) in number.iter_mut().zip(bytes.iter().skip(at)) {
        *to = *from;
    }
    u64::from_le_bytes(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_of_a_control_block_never_change() {
        let block = ControlBlock {
            steps_done: 0x0102_0304_0506_0708,
            stop_at: 9,
            running: true,
            stop: false,
            application: [0xA5; APPLICATION_BYTES],
        };
        let mut expected = vec![8, 7, 6, 5, 4, 3, 2, 1, 9, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0];
        expected.extend([0; 40]);
        expected.extend([0xA5; 192]);
        assert_eq!(block.to_bytes().as_slice(), expected);
        assert_eq!(ControlBlock::from_bytes(&block.to_bytes()), block);
    }
}
