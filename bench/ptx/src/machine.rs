//! [`Device`]: one workload loaded into the virtual machine, ready to be launched.

use grafos_ptx::{DeviceMemory, Interrupt, Launch, LaunchReport, Limits, LoadedModule, Module};

use crate::Result;
use crate::workload::{Arg, Workload};

/// A module, its buffers and its parameters.
pub(crate) struct Device<'a> {
    workload: &'a Workload,
    memory: DeviceMemory,
    module: LoadedModule,
    addresses: Vec<u64>,
    params: Vec<u8>,
}

const MEMORY_BYTES: u64 = 256 << 20;

impl<'a> Device<'a> {
    pub(crate) fn of(workload: &'a Workload) -> Result<Self> {
        let memory = DeviceMemory::new(MEMORY_BYTES);
        let module = LoadedModule::new(&Module::load(workload.ptx)?, &memory)?;
        let mut addresses = Vec::new();
        for buffer in &workload.buffers {
            addresses.push(memory.alloc(u64::try_from(buffer.len())?)?);
        }
        let kernel = module.module().kernel(workload.kernel).ok_or("there is no such kernel")?;
        let layout = kernel.params();
        let end = layout.last().map_or(0, |param| param.offset + param.size);
        let mut params = vec![0; usize::try_from(end)?];
        for (param, arg) in layout.iter().zip(&workload.args) {
            let bytes = match arg {
                Arg::Buffer(index) => addresses[*index].to_le_bytes().to_vec(),
                Arg::U32(value) => value.to_le_bytes().to_vec(),
                Arg::U64(value) => value.to_le_bytes().to_vec(),
                Arg::F32(value) => value.to_le_bytes().to_vec(),
            };
            let at = usize::try_from(param.offset)?;
            params[at..at + bytes.len()].copy_from_slice(&bytes);
        }
        Ok(Self { workload, memory, module, addresses, params })
    }

    /// Puts the first bytes back into every buffer.
    pub(crate) fn reset(&self) -> Result<()> {
        for (address, bytes) in self.addresses.iter().zip(&self.workload.buffers) {
            self.memory.write(*address, bytes)?;
        }
        Ok(())
    }

    /// One launch on `threads` cores.
    pub(crate) fn launch(&self, threads: usize) -> LaunchReport {
        let Workload { grid, block, shared_bytes, .. } = *self.workload;
        let launch = Launch { grid, block, shared_bytes, params: &self.params };
        let mut limits = Limits::default();
        limits.threads = Some(threads);
        self.module.launch(self.workload.kernel, &launch, &limits, &Interrupt::new())
    }

    /// What the output buffer holds.
    pub(crate) fn output(&self) -> Result<Vec<u8>> {
        let mut bytes = vec![0; self.workload.buffers[self.workload.output].len()];
        self.memory.read(self.addresses[self.workload.output], &mut bytes)?;
        Ok(bytes)
    }
}
