//! [`Rig`]: a kernel of a few lines, loaded and ready to run.

use grafos_ptx::{
    DeviceMemory, Fault, FaultKind, Interrupt, Launch, LaunchError, LaunchReport, Limits, LoadedModule,
    Module,
};

/// A module with a kernel `k(.param .u64 out, .param .u64 in, .param .u32 n)`.
pub(super) struct Rig {
    pub(super) source: String,
    pub(super) memory: DeviceMemory,
    pub(super) module: LoadedModule,
}

/// What a launch is given.
#[derive(Clone, Copy)]
pub(super) struct Args {
    pub(super) out: u64,
    pub(super) input: u64,
    pub(super) n: u32,
}

impl Args {
    pub(super) fn bytes(self) -> Vec<u8> {
        let mut bytes = self.out.to_le_bytes().to_vec();
        bytes.extend(self.input.to_le_bytes());
        bytes.extend(self.n.to_le_bytes());
        bytes
    }
}

const HEADER: &str = ".version 8.0\n.target sm_90\n.address_size 64\n";

/// The registers that each body may use. Before it runs, `%rd0` is `out`, `%rd1` the address of the thread's word
/// there, `%rd2` is `in`, `%r0` the thread's index in the whole one-dimensional grid, `%r1` that in its block, `%r2`
/// its lane and `%r3` is `n`.
const PROLOGUE: &str = "
    .reg .pred %p<16>;
    .reg .b16 %h<16>;
    .reg .b32 %r<64>;
    .reg .f32 %f<16>;
    .reg .b64 %rd<48>;
    .reg .f64 %fd<8>;
    ld.param.u64 %rd0, [out];
    ld.param.u64 %rd2, [in];
    ld.param.u32 %r3, [n];
    mov.u32 %r61, %ctaid.x;
    mov.u32 %r62, %ntid.x;
    mov.u32 %r1, %tid.x;
    mov.u32 %r2, %laneid;
    mad.lo.u32 %r0, %r61, %r62, %r1;
    mul.wide.u32 %rd47, %r0, 4;
    add.u64 %rd1, %rd0, %rd47;
";

impl Rig {
    /// A module of some declarations and the kernel with a body.
    pub(super) fn new(declarations: &str, body: &str) -> Self {
        let source = format!(
            "{HEADER}{declarations}
.visible .entry k(.param .u64 out, .param .u64 in, .param .u32 n)
{{{PROLOGUE}{body}
    ret;
}}
"
        );
        let module = Module::load(source.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{source}"));
        let memory = DeviceMemory::new(1 << 30);
        let module = LoadedModule::new(&module, &memory).unwrap();
        Self { source, memory, module }
    }

    /// A buffer with these words.
    pub(super) fn words(&self, words: &[u32]) -> u64 {
        let address = self.memory.alloc(words.len() as u64 * 4).unwrap();
        self.memory
            .write(address, &words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>())
            .unwrap();
        address
    }

    pub(super) fn read(&self, address: u64, words: usize) -> Vec<u32> {
        let mut bytes = vec![0; words * 4];
        self.memory.read(address, &mut bytes).unwrap();
        bytes.chunks(4).map(|word| u32::from_le_bytes(word.try_into().unwrap())).collect()
    }

    pub(super) fn launch(&self, blocks: u32, threads: u32, args: Args) -> LaunchReport {
        self.launch_with(blocks, threads, args, &Limits::default(), &Interrupt::new())
    }

    pub(super) fn launch_with(
        &self,
        blocks: u32,
        threads: u32,
        args: Args,
        limits: &Limits,
        interrupt: &Interrupt,
    ) -> LaunchReport {
        let params = args.bytes();
        let launch =
            Launch { grid: [blocks, 1, 1], block: [threads, 1, 1], shared_bytes: 0, params: &params };
        self.module.launch("k", &launch, limits, interrupt)
    }

    /// Runs one block; gives `words` words of `out`, all zero before. `in` are the words `input`.
    pub(super) fn run(&self, threads: u32, words: usize, input: &[u32], n: u32) -> Vec<u32> {
        self.run_grid(1, threads, words, input, n)
    }

    pub(super) fn run_grid(
        &self,
        blocks: u32,
        threads: u32,
        words: usize,
        input: &[u32],
        n: u32,
    ) -> Vec<u32> {
        let args = Args { out: self.words(&vec![0; words]), input: self.words(input), n };
        self.launch(blocks, threads, args).outcome.unwrap();
        self.read(args.out, words)
    }

    /// The fault of one block.
    pub(super) fn fault(&self, threads: u32, input: &[u32], n: u32) -> Fault {
        let args = Args { out: self.words(&[0; 2048]), input: self.words(input), n };
        fault_of(self.launch(1, threads, args))
    }

    /// The line that holds a comment.
    pub(super) fn line(&self, comment: &str) -> u32 {
        let line = self.source.lines().position(|line| line.contains(comment)).expect("the comment is there");
        line as u32 + 1
    }

    /// Expects a fault of one block on the line marked `HERE`.
    pub(super) fn expect_fault(
        &self,
        threads: u32,
        input: &[u32],
        n: u32,
        thread: [u32; 3],
        kind: FaultKind,
    ) {
        let expected =
            Fault { kernel: "k".to_owned(), line: self.line("HERE"), block: [0, 0, 0], thread, kind };
        assert_eq!(self.fault(threads, input, n), expected);
    }
}

pub(super) fn fault_of(report: LaunchReport) -> Fault {
    match report.outcome {
        Err(LaunchError::Fault(fault)) => *fault,
        other => panic!("no fault: {other:?}"),
    }
}

/// A body that stores `%r10` to the thread's word.
pub(super) fn storing(body: &str) -> Rig {
    Rig::new("", &format!("{body}\n    st.global.u32 [%rd1], %r10;"))
}
