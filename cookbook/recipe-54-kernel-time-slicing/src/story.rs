//! [`share`]: two jobs on one device, what keeps them apart, and that it does not keep them from working.

use std::io::Write;
use std::thread;

use grafos_std::FabricError;
use grafos_std::gpu::{GpuBuilder, GpuExclusivityClass, GpuFault, GpuSession, KernelArgs, KernelFaultKind};
use grafos_std::host::Host;

use crate::error::RecipeError;
use crate::job::{Job, SLICES};

const GIB: u64 = 1 << 30;
const SECRET: u8 = 0xA5;
const SECRET_BYTES: u64 = 1 << 20;

/// How the story ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// How many slices each job did.
    pub slices: [u64; 2],
    /// The last state of each.
    pub states: [Vec<u8>; 2],
    /// How many requests and accesses were refused.
    pub refused: u32,
}

/// Lets two jobs share the device of `host`, which has 16 GiB and nobody on it.
///
/// # Errors
/// [`RecipeError::LetThrough`] if anything is seen or granted that must not be; those of the host.
pub fn share(host: &Host, out: &mut dyn Write) -> Result<Ending, RecipeError> {
    let mut a = Job::start(host, "A", 6 * GIB, SECRET)?;
    let mut b = Job::start(host, "B", 6 * GIB, 1)?;
    writeln!(out, "A and B lease 6 GiB each of a device of 16 GiB, shared")?;
    let mut refused = others_are_kept_out(host, out)?;
    refused += nobody_sees_the_other(&a, &b, out)?;
    kernels_run_beside_each_other(&mut a, &mut b, out)?;
    let states = [a.state()?, b.state()?];
    let slices = [a.done(), b.done()];
    drop((a, b));

    let alone = [alone(host, "A", SECRET)?, alone(host, "B", 1)?];
    expect(states == alone, "a result that sharing has changed")?;
    for (name, state) in ["A", "B"].into_iter().zip(&states) {
        let digest = blake3::hash(state).to_hex();
        writeln!(out, "{name} did {SLICES} slices: state {}, as when it is alone", &digest[..16])?;
    }
    Ok(Ending { slices, states, refused })
}

fn others_are_kept_out(host: &Host, out: &mut dyn Write) -> Result<u32, RecipeError> {
    match Job::start(host, "C", 6 * GIB, 0) {
        Err(FabricError::CapacityExceeded { available, .. }) => {
            writeln!(out, "C asks for 6 GiB: refused, {} GiB are left", available / GIB)?;
        }
        other => return Err(unexpected(other, "memory that was promised to others")),
    }
    let alone = GpuBuilder::new().on(host).min_vram(GIB).exclusivity(GpuExclusivityClass::DeviceExclusive);
    match alone.acquire() {
        Err(FabricError::Held { .. }) => writeln!(out, "D asks for the device alone: refused, it is in use")?,
        other => return Err(unexpected(other, "a device that others use")),
    }
    Ok(2)
}

fn nobody_sees_the_other(a: &Job, b: &Job, out: &mut dyn Write) -> Result<u32, RecipeError> {
    let (mut of_a, mut of_b) = (a.another_session(), b.another_session());
    let secret = of_a.mem_alloc(SECRET_BYTES)?;
    of_a.mem_fill(&secret, 0, SECRET, SECRET_BYTES)?;
    of_a.sync()?;
    let seen = bytes_that_are_not_zero(&mut of_b)?;
    writeln!(out, "A fills 1 MiB with a secret; B allocates 1 MiB: {seen} of its bytes are not zero")?;
    expect(seen == 0, "another job's bytes in new memory")?;
    of_a.mem_free(secret)?;
    let seen = bytes_that_are_not_zero(&mut of_b)?;
    writeln!(out, "A frees the secret; B allocates 1 MiB again: {seen} of its bytes are not zero")?;
    expect(seen == 0, "another job's freed bytes in new memory")?;

    let before = a.state()?;
    let fault = write_there(b, a.state_address())?;
    expect(fault == KernelFaultKind::IllegalAddress, "a write at an address of another job")?;
    writeln!(
        out,
        "a kernel of B writes at the address of A's state: illegal address, that session of B failed"
    )?;
    expect(a.state()? == before, "a change of another job's memory")?;
    expect(b.state()?.iter().all(|byte| *byte == 1), "a fault that reaches another session")?;
    writeln!(out, "A's state is as it was, and B's other sessions go on")?;
    Ok(1)
}

fn bytes_that_are_not_zero(session: &mut GpuSession) -> Result<usize, RecipeError> {
    let memory = session.mem_alloc(SECRET_BYTES)?;
    let bytes = session.mem_read(&memory, 0, SECRET_BYTES)?;
    Ok(bytes.iter().filter(|byte| **byte != 0).count())
}

/// Launches a kernel of `job`, in a session of its own, on a bare address.
fn write_there(job: &Job, address: u64) -> Result<KernelFaultKind, RecipeError> {
    let mut session = job.another_session();
    let module = session.module_load(include_bytes!("../../../kernels/train_step.ptx"))?;
    let args = KernelArgs::new().push_u64(0).push_u32(1).push_u64(address);
    session.launch_with_args(&module, "train_step", [1; 3], [1; 3], args)?;
    match session.sync() {
        Err(FabricError::GpuSessionFailed { fault, .. }) => match *fault {
            GpuFault::Kernel(fault) => Ok(fault.kind),
            other => Err(FabricError::from(other).into()),
        },
        other => Err(unexpected(other, "an access at an address of another job")),
    }
}

fn kernels_run_beside_each_other(a: &mut Job, b: &mut Job, out: &mut dyn Write) -> Result<(), RecipeError> {
    one_works_while_the_other_waits(a, b, out)?;
    one_works_while_the_other_waits(b, a, out)?;
    thread::scope(|scope| {
        let threads = [a, b].map(|job| (job.name(), scope.spawn(move || do_the_rest(job))));
        threads.into_iter().try_for_each(|(job, thread)| match thread.join() {
            Ok(done) => Ok(done?),
            Err(_) => Err(RecipeError::Panicked { job }),
        })
    })?;
    writeln!(out, "A and B do the rest of their slices at the same time")?;
    Ok(())
}

fn one_works_while_the_other_waits(
    waits: &mut Job,
    works: &mut Job,
    out: &mut dyn Write,
) -> Result<(), RecipeError> {
    let names = (waits.name(), works.name());
    let waiting = waits.wait_on_the_device()?;
    works.slice()?;
    works.slice()?;
    waiting.end()?;
    writeln!(out, "a kernel of {} waits on the device; {} does two slices meanwhile", names.0, names.1)?;
    Ok(())
}

fn do_the_rest(job: &mut Job) -> Result<(), FabricError> {
    while job.done() < SLICES {
        job.slice()?;
    }
    Ok(())
}

/// The state of such a job that nobody shares the device with.
fn alone(host: &Host, name: &'static str, first: u8) -> Result<Vec<u8>, RecipeError> {
    let mut job = Job::start(host, name, 6 * GIB, first)?;
    do_the_rest(&mut job)?;
    Ok(job.state()?)
}

fn expect(is_so: bool, otherwise: &'static str) -> Result<(), RecipeError> {
    if is_so { Ok(()) } else { Err(RecipeError::LetThrough { what: otherwise }) }
}

fn unexpected<T>(result: Result<T, FabricError>, what: &'static str) -> RecipeError {
    match result {
        Ok(_) => RecipeError::LetThrough { what },
        Err(error) => error.into(),
    }
}
