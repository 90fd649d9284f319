//! The corpus: every kernel of every compiler on the virtual machine, against the references of `grafos-ptx-cases`.
//!
//! One test per file of `kernels/`, over all compilers and cases, on one thread and on two. Whatever the number of
//! threads, a case must leave the very same bits, approximations included.

use grafos_ptx::{
    DeviceMemory, FaultKind, Interrupt, Launch, LaunchError, LaunchReport, Limits, LoadedModule, Module,
    ParamLayout,
};
use grafos_ptx_cases::{Case, Ending, Step, cases_of, modules};

/// What a case left: the buffers, and how its last launch ended.
struct Left {
    buffers: Vec<Vec<u8>>,
    printed: Vec<u8>,
    outcome: Result<(), LaunchError>,
}

/// The parameters of a step, where the kernel wants them.
fn params(layout: &[ParamLayout], step: &Step, addresses: &[u64]) -> Vec<u8> {
    assert_eq!(layout.len(), step.args.len(), "{}", step.kernel);
    let mut params =
        vec![0; layout.iter().map(|param| (param.offset + param.size) as usize).max().unwrap_or(0)];
    for (param, arg) in layout.iter().zip(&step.args) {
        let bytes = arg.to_bytes(|index| addresses[index.0]);
        assert_eq!(bytes.len(), param.size as usize, "{}", step.kernel);
        let at = param.offset as usize;
        params[at..at + bytes.len()].copy_from_slice(&bytes);
    }
    params
}

fn launch(module: &LoadedModule, step: &Step, addresses: &[u64], threads: usize) -> LaunchReport {
    let kernel = module.module().kernel(step.kernel).unwrap_or_else(|| panic!("no kernel {}", step.kernel));
    let params = params(kernel.params(), step, addresses);
    let launch =
        Launch { grid: step.grid, block: step.block, shared_bytes: step.shared_bytes, params: &params };
    let mut limits = Limits::default();
    limits.threads = Some(threads);
    // Every case needs less; a loop that never ends becomes a failure.
    limits.instructions = Some(200_000_000);
    module.launch(step.kernel, &launch, &limits, &Interrupt::new())
}

fn run(module: &Module, case: &Case, threads: usize) -> Left {
    let memory = DeviceMemory::new(64 << 20);
    let loaded = LoadedModule::new(module, &memory).unwrap();
    let upload = |initial: &[u8]| {
        let address = memory.alloc(initial.len() as u64).unwrap();
        memory.write(address, initial).unwrap();
        address
    };
    let addresses: Vec<u64> = case.buffers.iter().map(|buffer| upload(&buffer.initial)).collect();
    let (mut printed, mut outcome) = (Vec::new(), Ok(()));
    for step in &case.steps {
        let report = launch(&loaded, step, &addresses, threads);
        printed.extend_from_slice(&report.printed);
        outcome = report.outcome;
        if outcome.is_err() {
            break;
        }
    }
    let download = |(buffer, address): (&grafos_ptx_cases::Buffer, &u64)| {
        let mut bytes = vec![0; buffer.initial.len()];
        memory.read(*address, &mut bytes).unwrap();
        bytes
    };
    let buffers = case.buffers.iter().zip(&addresses).map(download).collect();
    Left { buffers, printed, outcome }
}

/// What is wrong with what `case` left, if anything.
fn problem(case: &Case, left: &Left) -> Option<String> {
    match (case.ending, &left.outcome) {
        (Ending::Completes, Ok(())) => {}
        (Ending::AssertionFails, Err(LaunchError::Fault(fault)))
            if matches!(fault.kind, FaultKind::Assert { .. }) =>
        {
            return None;
        }
        (_, Ok(())) => return Some("should have failed".to_owned()),
        (_, Err(error)) => return Some(error.to_string()),
    }
    if left.printed != case.printed {
        return Some(format!("printed {:?}", String::from_utf8_lossy(&left.printed)));
    }
    let verify = |(buffer, bytes): (&grafos_ptx_cases::Buffer, &Vec<u8>)| buffer.verify(bytes).err();
    case.buffers.iter().zip(&left.buffers).find_map(verify).map(|difference| difference.to_string())
}

/// Every case of one file on every compiler's PTX. Tells all that went wrong, not only the first.
fn check(name: &str) {
    let cases = cases_of(name);
    assert!(!cases.is_empty());
    let mut problems = Vec::new();
    let mut count = 0;
    for made in modules().filter(|made| made.name == name) {
        let module = match Module::load(made.ptx) {
            Ok(module) => module,
            Err(error) => {
                problems.push(format!("{made}: {error}"));
                continue;
            }
        };
        for case in &cases {
            let [one, two] = [1, 2].map(|threads| run(&module, case, threads));
            problems.extend(problem(case, &one).map(|problem| format!("{made}, {}: {problem}", case.name)));
            if case.ending == Ending::Completes && one.buffers != two.buffers {
                problems.push(format!("{made}, {}: the number of threads shows", case.name));
            }
            count += 1;
        }
    }
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
    assert!(count >= 4 * cases.len(), "four compilers at least, found={count}");
}

macro_rules! corpus {
    ($($test:ident: $name:literal),* $(,)?) => {
        $(#[test]
        fn $test() {
            check($name);
        })*

        #[test]
        fn every_file_has_its_test() {
            let tested: std::collections::BTreeSet<_> = [$($name),*].into();
            let there: std::collections::BTreeSet<_> = modules().map(|module| module.name).collect();
            assert_eq!(tested, there);
        }
    };
}

corpus! {
    attention_is_near_the_reference: "attention",
    bfloat16_is_bit_exact: "bfloat",
    a_training_step_of_a_network_is_bit_exact: "digits",
    waves_are_bit_exact_and_stop_between_steps: "fdtd",
    functions_are_called_with_their_parameters: "functions",
    halves_are_bit_exact: "half",
    histograms_count_every_element: "histogram",
    layer_norm_is_bit_exact: "layer_norm",
    matrix_products_are_bit_exact: "matmul",
    optimizer_steps_are_bit_exact: "optimizer",
    philox_gives_the_numbers_of_the_paper: "philox",
    printf_and_assert_speak: "print",
    radix_sort_steps_are_stable: "radix",
    reductions_are_bit_exact: "reduce",
    scans_are_exact_in_one_launch_and_in_three: "scan",
    softmax_is_near_the_reference: "softmax",
    stencils_are_bit_exact: "stencil",
    constants_switches_and_local_memory_work: "table",
    train_step_updates_each_byte: "train_step",
    vector_operations_are_bit_exact: "vector",
    lanes_tell_each_other_the_truth: "warp",
}
