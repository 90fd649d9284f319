//! Rules about who is kept out: exclusivity classes and reserved memory.

use super::super::rule::{Checked, ensure, ensure_eq, ensure_error};
use super::{MIB, TestedGpuHost};
use crate::error::FabricError;
use crate::gpu::{GpuExclusivityClass, GpuSession};
use crate::host::GpuRequest;

const CLASSES: [GpuExclusivityClass; 3] = [
    GpuExclusivityClass::Shared,
    GpuExclusivityClass::SessionExclusive,
    GpuExclusivityClass::DeviceExclusive,
];

pub(super) fn leases_keep_out_whom_they_should(tested: &TestedGpuHost) -> Checked {
    use GpuExclusivityClass::DeviceExclusive;
    for first in CLASSES {
        for second in CLASSES {
            let held = tested.lease_of(first)?;
            let asked = tested.lease_of(second);
            if first == DeviceExclusive || second == DeviceExclusive {
                ensure_error!(asked, FabricError::Held { .. }, "a {second} lease beside a {first} one");
            } else if let Err(error) = asked {
                ensure!(false, "a {second} lease is kept out by a {first} one: {error}");
            }
            drop(held);
            if let Err(error) = tested.lease_of(second) {
                ensure!(false, "a {second} lease is kept out after the end of a {first} one: {error}");
            }
        }
    }
    Ok(())
}

pub(super) fn sessions_keep_out_whom_they_should(tested: &TestedGpuHost) -> Checked {
    use GpuExclusivityClass::{DeviceExclusive, SessionExclusive, Shared};
    for (first, second) in [
        (Shared, Shared),
        (Shared, SessionExclusive),
        (SessionExclusive, Shared),
        (SessionExclusive, SessionExclusive),
    ] {
        let leases = (tested.lease_of(first)?, tested.lease_of(second)?);
        let (mut one, mut other) = (GpuSession::new(&leases.0), GpuSession::new(&leases.1));
        let memory = one.mem_alloc(8)?;
        let asked = other.mem_alloc(8).map(drop);
        if (first, second) == (Shared, Shared) {
            asked?;
        } else {
            ensure_error!(
                asked,
                FabricError::Held { .. },
                "a session of a {second} lease beside one of a {first} lease"
            );
        }
        one.mem_write(&memory, 0, b"mine")?;
        drop(one);
        other.mem_alloc(8)?;
    }
    // Within one lease: a session-exclusive one has one session at a time, a device-exclusive one any number.
    for (class, has_one) in [(SessionExclusive, true), (DeviceExclusive, false), (Shared, false)] {
        let lease = tested.lease_of(class)?;
        let (mut one, mut other) = (GpuSession::new(&lease), GpuSession::new(&lease));
        one.mem_alloc(8)?;
        let asked = other.mem_alloc(8).map(drop);
        ensure_eq!(asked.is_err(), has_one, "whether a second session of a {class} lease is refused");
    }
    Ok(())
}

pub(super) fn a_class_is_never_weakened(tested: &TestedGpuHost) -> Checked {
    for class in CLASSES {
        let grant = tested.grant(Some(class))?;
        ensure_eq!(grant.exclusivity, class, "the class that was granted");
    }
    let unset = tested.grant(None)?;
    ensure!(
        matches!(
            unset.exclusivity,
            GpuExclusivityClass::SessionExclusive | GpuExclusivityClass::DeviceExclusive
        ),
        "a lease that names no class is {}",
        unset.exclusivity
    );
    drop(unset);
    ensure_error!(
        tested.grant(Some(GpuExclusivityClass::PartitionExclusive)),
        FabricError::Unsupported { .. },
        "a reserved class"
    );
    ensure!(tested.usage()?.is_idle(), "a refused request leaves a lease");
    Ok(())
}

pub(super) fn device_memory_is_never_promised_twice(tested: &TestedGpuHost) -> Checked {
    let devices = tested.host.devices()?;
    let all = devices.first().map_or(0, |device| device.vram_bytes);
    ensure!(all >= 64 * MIB, "device 0 has {all} bytes, less than the suite needs");
    let more_than_half = all / 2 + MIB;
    let ask = |bytes| tested.builder()?.min_vram(bytes).acquire();
    for too_much in [all + 1, u64::MAX] {
        ensure_error!(
            ask(too_much),
            FabricError::CapacityExceeded { requested, available, .. }
                if *requested == too_much && *available <= all,
            "{too_much} bytes of a device of {all}"
        );
    }
    for _ in 0..3 {
        let half = ask(more_than_half)?;
        ensure!(half.vram_bytes() >= more_than_half, "{} bytes granted", half.vram_bytes());
        ensure_error!(
            ask(more_than_half),
            FabricError::CapacityExceeded { available, .. } if *available < more_than_half,
            "the larger half of the device's memory, twice"
        );
        drop(ask(all - more_than_half - MIB)?);
    }
    let too_much = GpuRequest {
        device: None,
        min_vram_bytes: u64::MAX,
        lease_secs: 60,
        exclusivity: Some(GpuExclusivityClass::DeviceExclusive),
    };
    ensure_error!(
        tested.host.acquire(&too_much),
        FabricError::CapacityExceeded { .. },
        "more memory than any device has"
    );
    Ok(())
}
