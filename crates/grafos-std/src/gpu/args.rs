//! [`KernelArgs`]: the arguments of a launch, and how they are checked against the parameters of the kernel.
//!
//! Invariant: no launch gets through whose arguments differ from the kernel's parameters in number or size: a device
//! would read past the end of the list.

use std::sync::Arc;

use super::open_session::OpenSession;
use super::{GpuError, GpuMemHandle};
use crate::error::{FabricError, Result};
use crate::host::KernelLayout;

/// The arguments of a kernel, in order. Each has the size of its type, as little-endian bytes; a buffer is its 8-byte
/// address.
///
/// The published interface also has an unsafe `push_raw`. This one has [`push_bytes`](Self::push_bytes), which is
/// safe: what a kernel does with its arguments is checked by the device, and the size before that.
///
/// ```
/// use grafos_std::gpu::KernelArgs;
///
/// let args = KernelArgs::new().push_u64(42).push_f32(0.5);
/// assert_eq!(args.len(), 2);
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "arguments do nothing without a launch"]
pub struct KernelArgs {
    bytes: Vec<u8>,
    sizes: Vec<u32>,
    /// Kept until the launch is submitted, and looked at then.
    buffers: Vec<GpuMemHandle>,
}

impl KernelArgs {
    /// No arguments.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a 32-bit unsigned integer.
    pub fn push_u32(self, value: u32) -> Self {
        self.push_bytes(&value.to_le_bytes())
    }

    /// Adds a 64-bit unsigned integer.
    pub fn push_u64(self, value: u64) -> Self {
        self.push_bytes(&value.to_le_bytes())
    }

    /// Adds a 32-bit signed integer.
    pub fn push_i32(self, value: i32) -> Self {
        self.push_bytes(&value.to_le_bytes())
    }

    /// Adds a 64-bit signed integer.
    pub fn push_i64(self, value: i64) -> Self {
        self.push_bytes(&value.to_le_bytes())
    }

    /// Adds a 32-bit float.
    pub fn push_f32(self, value: f32) -> Self {
        self.push_bytes(&value.to_le_bytes())
    }

    /// Adds a 64-bit float.
    pub fn push_f64(self, value: f64) -> Self {
        self.push_bytes(&value.to_le_bytes())
    }

    /// Adds the address of device memory. The launch is refused if the memory is of another session or was freed.
    pub fn push_buffer(mut self, buffer: &GpuMemHandle) -> Self {
        self.buffers.push(buffer.clone());
        self.push_bytes(&buffer.raw().to_le_bytes())
    }

    /// Adds any other parameter, such as a structure, as the bytes that the kernel expects.
    pub fn push_bytes(mut self, bytes: &[u8]) -> Self {
        // Too long for the count is too long for any kernel: saturated, it is refused like every wrong size.
        self.sizes.push(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// How many arguments there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sizes.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sizes.is_empty()
    }

    /// The block of parameters, and the buffers that must live until the launch is submitted.
    pub(super) fn into_params(
        self,
        session: &Arc<OpenSession>,
        kernel: &str,
        layout: &KernelLayout,
    ) -> Result<(Vec<u8>, Vec<GpuMemHandle>)> {
        self.buffers.iter().try_for_each(|buffer| buffer.owned().check(session))?;
        let params = pack(kernel, layout, &self.bytes, &self.sizes)?;
        Ok((params, self.buffers))
    }
}

/// The block of parameters of `kernel`, made of arguments of these sizes that lie one after the other.
pub(super) fn pack(kernel: &str, layout: &KernelLayout, args: &[u8], sizes: &[u32]) -> Result<Vec<u8>> {
    let total: u64 = sizes.iter().map(|size| u64::from(*size)).sum();
    if total != args.len() as u64 {
        return Err(FabricError::InvalidRequest {
            what: "bytes of the arguments",
            expected: "as many as the sizes say",
            found: format!("{} bytes, sizes of {total}", args.len()),
        });
    }
    if sizes.len() != layout.params.len() {
        let (expected, found) = (layout.params.len(), sizes.len());
        return Err(GpuError::ArgumentCount { kernel: kernel.to_owned(), expected, found }.into());
    }
    let mut block = vec![0; layout.param_bytes() as usize];
    let mut rest = args;
    for (index, (param, size)) in layout.params.iter().zip(sizes).enumerate() {
        let start = param.offset as usize;
        let place = block.get_mut(start..start + param.size as usize);
        match (place, rest.split_at_checked(*size as usize)) {
            (Some(place), Some((arg, others))) if place.len() == arg.len() => {
                place.copy_from_slice(arg);
                rest = others;
            }
            _ => {
                return Err(GpuError::ArgumentSize {
                    kernel: kernel.to_owned(),
                    index,
                    expected: u64::from(param.size),
                    found: u64::from(*size),
                }
                .into());
            }
        }
    }
    Ok(block)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{KernelId, KernelParam};

    /// A kernel with parameters of 1, 8 and 4 bytes, aligned as a compiler would.
    fn layout() -> KernelLayout {
        let param = |offset, size| KernelParam { offset, size };
        KernelLayout {
            id: KernelId(1),
            params: vec![param(0, 1), param(8, 8), param(16, 4)],
            max_threads: 1024,
            max_dynamic_shared_bytes: 0,
        }
    }

    #[test]
    fn arguments_go_where_the_parameters_are_with_zeros_between() {
        let args = KernelArgs::new().push_bytes(&[0xAA]).push_u64(0x0807_0605_0403_0201).push_f32(1.0);
        let block = pack("k", &layout(), &args.bytes, &args.sizes).unwrap();
        assert_eq!(block, [0xAA, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0x80, 0x3F]);
    }

    fn refusal(args: &KernelArgs) -> FabricError {
        pack("k", &layout(), &args.bytes, &args.sizes).unwrap_err()
    }

    #[test]
    fn a_wrong_count_or_size_names_what_was_expected() {
        let few = refusal(&KernelArgs::new().push_bytes(&[1]).push_u64(2));
        assert!(
            matches!(&few, FabricError::Gpu(GpuError::ArgumentCount { expected: 3, found: 2, .. })),
            "{few}"
        );
        let wrong = refusal(&KernelArgs::new().push_bytes(&[1]).push_u32(2).push_u32(3));
        assert!(
            matches!(
                &wrong,
                FabricError::Gpu(GpuError::ArgumentSize { index: 1, expected: 8, found: 4, .. })
            ),
            "{wrong}"
        );
    }

    #[test]
    fn sizes_that_do_not_add_up_are_refused() {
        for (args, sizes) in
            [(&[0_u8; 13][..], &[1, 8, 5][..]), (&[0; 12], &[1, 8, 4]), (&[], &[u32::MAX; 3])]
        {
            let error = pack("k", &layout(), args, sizes).unwrap_err();
            let sum: u64 = sizes.iter().map(|size| u64::from(*size)).sum();
            if sum == args.len() as u64 {
                assert!(matches!(error, FabricError::Gpu(GpuError::ArgumentSize { .. })), "{error}");
            } else {
                assert!(matches!(error, FabricError::InvalidRequest { .. }), "{error}");
            }
        }
    }
}
