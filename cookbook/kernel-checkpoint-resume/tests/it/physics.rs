//! The kernel against plain Rust, bit by bit; plain Rust against what is known of waves.

use std::f64::consts::PI;

use cookbook_kernel_checkpoint_resume::energy::energy;
use cookbook_kernel_checkpoint_resume::{REGIONS, Reference, RunError, Simulation, Wave};
use grafos_kernel::checkpoint::ChunkType;
use grafos_std::gpu::GpuBuilder;
use grafos_std::host::LocalHost;

/// The bits of the field in the first and in the second region.
fn on_a_device(simulation: Simulation, steps: u64) -> [Vec<u8>; 2] {
    let home = tempfile::tempdir().unwrap();
    let host = LocalHost::builder().home(home.path()).open().unwrap();
    let lease = GpuBuilder::new().on(&host).min_vram(Wave::vram_bytes(simulation)).acquire().unwrap();
    let wave = Wave::new(&lease, simulation).unwrap();
    wave.begin().unwrap();
    wave.run_until(steps).unwrap();
    wave.submit(steps).unwrap();
    assert_eq!(wave.steps_done().unwrap(), steps);
    let samples = wave.hear().unwrap();
    assert_eq!(samples.iter().map(|sample| sample.step).collect::<Vec<_>>(), Vec::from_iter(1..=steps));
    let checkpoint = wave.snapshot().unwrap().into_checkpoint().unwrap();
    REGIONS.map(|region| checkpoint.region(region).unwrap().unwrap().data.clone())
}

#[test]
fn a_state_that_was_computed_with_other_parameters_is_not_gone_on_from() {
    let simulation = Simulation { size: 8 };
    let home = tempfile::tempdir().unwrap();
    let host = LocalHost::builder().home(home.path()).open().unwrap();
    let lease = GpuBuilder::new().on(&host).min_vram(Wave::vram_bytes(simulation)).acquire().unwrap();
    let mut wave = Wave::new(&lease, simulation).unwrap();
    wave.begin().unwrap();
    let good = wave.snapshot().unwrap().into_checkpoint().unwrap();
    let mut other = good.clone();
    let control = other.chunks.iter_mut().find(|chunk| chunk.chunk_type() == Some(ChunkType::ControlBlock));
    control.unwrap().data[64 + 24] ^= 1; // the last bit of k
    let refused = wave.restore(&other).unwrap_err();
    assert!(matches!(refused, RunError::OtherParameters { step: 0 }), "{refused}");
    wave.restore(&good).unwrap();
}

fn bits(field: &[f32]) -> Vec<u8> {
    field.iter().flat_map(|pressure| pressure.to_le_bytes()).collect()
}

#[test]
fn a_device_and_plain_rust_get_the_same_bits() {
    // Less than a slab, one, and more with a rest; even and odd numbers of steps.
    for (size, steps) in [(4, 40), (8, 41), (19, 60), (33, 75)] {
        let simulation = Simulation { size };
        let mut reference = Reference::new(simulation);
        (0..steps).for_each(|_| reference.step());
        let [even, odd] = on_a_device(simulation, steps);
        let [now, before] = if steps % 2 == 0 { [even, odd] } else { [odd, even] };
        assert!(now == bits(&reference.now) && before == bits(&reference.before), "{size}");
        assert!(reference.now.iter().all(|pressure| *pressure != 0.0), "the sound is everywhere: {size}");
    }
}

#[test]
fn a_standing_wave_swings_as_the_theory_of_the_scheme_says() {
    let simulation = Simulation { size: 16 };
    let modes = [1.0, 2.0, 3.0];
    let share = |mode: f64| PI * mode / 17.0;
    // sin²(ω/2) = k · Σ sin²(π m / 2 (n + 1)), which follows from the scheme by putting the wave in.
    let sum: f64 = modes.iter().map(|mode| (share(*mode) / 2.0).sin().powi(2)).sum();
    let omega = 2.0 * (f64::from(Simulation::K) * sum).sqrt().asin();
    #[allow(clippy::cast_possible_truncation, reason = "rounded")]
    let field = |time: f64| -> Vec<f32> {
        let along = |mode: f64, at: usize| (share(mode) * (at + 1) as f64).sin();
        let cell = |at: usize| {
            let [x, y, z] = [at % 16, at / 16 % 16, at / 256];
            let shape = along(modes[0], x) * along(modes[1], y) * along(modes[2], z);
            (shape * (omega * time).cos()) as f32
        };
        (0..4096).map(cell).collect()
    };
    let mut reference = Reference::with_field(simulation, field(0.0), field(-1.0));
    for step in 1..=300 {
        reference.step();
        let known = field(f64::from(step));
        let furthest = reference.now.iter().zip(&known).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(furthest < 1e-3, "{furthest} off behind step {step}");
    }
    let periods = 300.0 * omega / (2.0 * PI);
    assert!(periods > 10.0, "it did swing: {periods}");
}

#[test]
fn the_sound_arrives_when_its_speed_says_and_not_before() {
    let simulation = Simulation { size: 48 };
    let mut reference = Reference::new(simulation);
    // Sixteen cells from the source; the nearest way over a wall is three times as long.
    let at = usize::try_from(simulation.source() + 16).unwrap();
    let heard: Vec<f32> = (0..60)
        .map(|_| {
            reference.step();
            reference.now[at].abs()
        })
        .collect();
    let speed = f64::from(Simulation::K).sqrt();
    let travel = 16.0 / speed; // 29 steps
    let loudest = (0..60).max_by(|a, b| heard[*a].total_cmp(&heard[*b])).unwrap();
    let peak_of_the_sound = f64::from(Simulation::SOUND_STEPS) / 2.0;
    let late = (loudest + 1) as f64 - (peak_of_the_sound + travel);
    assert!(late.abs() <= 3.0, "{late} steps late");
    let before = &heard[..26];
    assert!(before.iter().all(|pressure| *pressure < 0.01 * heard[loudest]), "{before:?}");
}

#[test]
fn the_energy_stays_what_it_is_once_the_source_is_silent() {
    let simulation = Simulation { size: 20 };
    let mut reference = Reference::new(simulation);
    let mut run = |steps| {
        (0..steps).for_each(|_| reference.step());
        energy(simulation, &reference.now, &reference.before).unwrap()
    };
    let first = run(Simulation::SOUND_STEPS);
    assert!(first > 0.1);
    for _ in 0..10 {
        let later = run(100);
        assert!((later / first - 1.0).abs() < 1e-4, "{first} became {later}");
    }
    assert_eq!(energy(simulation, &[0.0; 3], &[0.0; 3]), None);
}
