//! Device memory as the host sees it, and beside kernels that run.

use grafos_ptx::{DeviceMemory, Interrupt, LaunchError, Limits, LoadedModule, MemoryError, Module};

use super::rig::{Args, Rig};

#[test]
fn memory_holds_zeros_and_then_what_was_written() {
    let memory = DeviceMemory::new(1 << 20);
    let address = memory.alloc(1001).unwrap();
    assert_eq!(address % 256, 0);
    let mut back = [1; 1001];
    memory.read(address, &mut back).unwrap();
    assert_eq!(back, [0; 1001]);
    // Every start and length around the borders of words, against plain bytes.
    let mut model = [0_u8; 64];
    let mut value = 0;
    for start in 0..9 {
        for len in 0..14 {
            let bytes: Vec<u8> = (0..len)
                .map(|_| {
                    value = (value + 7) % 251;
                    value as u8
                })
                .collect();
            memory.write(address + start as u64, &bytes).unwrap();
            model[start..start + len].copy_from_slice(&bytes);
            let mut back = [0; 64];
            memory.read(address, &mut back).unwrap();
            assert_eq!(back, model);
            let mut part = vec![0; len];
            memory.read(address + start as u64, &mut part).unwrap();
            assert_eq!(part, bytes);
            memory.fill(address + 20 + start as u64, value as u8, len as u64).unwrap();
            model[20 + start..20 + start + len].fill(value as u8);
        }
    }
}

#[test]
fn copies_may_overlap_in_both_directions() {
    let memory = DeviceMemory::new(1 << 20);
    let len = 200_000;
    let pattern: Vec<u8> = (0..len).map(|i| (i * 31 % 253) as u8).collect();
    for (to, from) in [(0, 3), (3, 0), (0, 70_001), (70_001, 0), (5, 5), (1, 65_537), (65_537, 1)] {
        let address = memory.alloc(len as u64).unwrap();
        memory.write(address, &pattern).unwrap();
        let bytes = len - 70_001;
        memory.copy(address + to as u64, address + from as u64, bytes as u64).unwrap();
        let mut expected = pattern.clone();
        expected.copy_within(from..from + bytes, to);
        let mut back = vec![0; len];
        memory.read(address, &mut back).unwrap();
        assert!(back == expected, "{to} {from}");
        memory.free(address).unwrap();
    }
    let [a, b] = [(); 2].map(|()| memory.alloc(10).unwrap());
    memory.write(a, b"0123456789").unwrap();
    memory.copy(b + 1, a + 2, 3).unwrap();
    let mut back = [0; 10];
    memory.read(b, &mut back).unwrap();
    assert_eq!(&back, b"\x00234\0\0\0\0\0\0");
}

#[test]
fn ranges_must_lie_within_one_allocation() {
    let memory = DeviceMemory::new(1 << 20);
    let [a, b] = [(); 2].map(|()| memory.alloc(256).unwrap());
    let out = |address, bytes| Err(MemoryError::OutOfBounds { address, bytes });
    assert_eq!(memory.write(a + 250, &[0; 7]), out(a + 250, 7));
    assert_eq!(memory.read(a - 1, &mut [0]), out(a - 1, 1));
    assert_eq!(memory.read(u64::MAX, &mut [0; 2]), out(u64::MAX, 2));
    assert_eq!(memory.fill(a, 1, u64::MAX), out(a, u64::MAX));
    assert_eq!(memory.copy(a, b, 257), out(a, 257));
    assert_eq!(memory.copy(a, b + 1, 256), out(b + 1, 256));
    assert_eq!(memory.read(0, &mut []), out(0, 0));
    assert_eq!(memory.read(a + 256, &mut []), Ok(()));
    assert!(b - a >= 256 + (1 << 20), "a gap lies between them");
}

#[test]
fn the_limit_counts_whole_units_and_freeing_gives_them_back() {
    let memory = DeviceMemory::new(1024);
    let a = memory.alloc(1).unwrap();
    let b = memory.alloc(257).unwrap();
    assert_eq!((memory.used_bytes(), memory.allocations(), memory.limit_bytes()), (768, 2, 1024));
    assert_eq!(memory.alloc(257), Err(MemoryError::OutOfMemory { requested: 257, available: 256 }));
    let c = memory.alloc(0).unwrap();
    assert_eq!(memory.alloc(0), Err(MemoryError::OutOfMemory { requested: 0, available: 0 }));
    for address in [a, b, c] {
        memory.free(address).unwrap();
        assert_eq!(memory.free(address), Err(MemoryError::NotAllocated { address }));
    }
    assert_eq!((memory.used_bytes(), memory.allocations()), (0, 0));
    assert_eq!(
        memory.alloc(u64::MAX),
        Err(MemoryError::OutOfMemory { requested: u64::MAX, available: 1024 })
    );
    let d = memory.alloc(1024).unwrap();
    assert_eq!(memory.free(d + 1), Err(MemoryError::NotAllocated { address: d + 1 }));
    assert!(![a, b, c].contains(&d), "addresses are not used again while they are young");
}

#[test]
fn what_the_machine_does_not_have_is_an_error_and_leaves_nothing_behind() {
    let memory = DeviceMemory::new(u64::MAX);
    for bytes in [u64::MAX - 512, 1 << 62, 1 << 47] {
        let result = memory.alloc(bytes);
        assert!(
            matches!(result, Err(MemoryError::OutOfMemory { requested, .. }) if requested == bytes),
            "{result:?}"
        );
    }
    assert_eq!((memory.used_bytes(), memory.allocations()), (0, 0));
}

#[test]
fn large_allocations_take_pages_only_as_they_are_written() {
    // More than the machine of a developer has.
    let memory = DeviceMemory::new(16 << 30);
    let address = memory.alloc(16 << 30).unwrap();
    memory.write(address + (15 << 30), b"far").unwrap();
    let mut back = [0; 4];
    memory.read(address + (15 << 30), &mut back).unwrap();
    assert_eq!(&back, b"far\0");
    memory.free(address).unwrap();
}

#[test]
fn variables_are_freed_with_their_module_and_not_before() {
    let memory = DeviceMemory::new(4096);
    let source = b".version 7.0\n.target sm_70\n.address_size 64\n.global .b8 a[300];\n.const .b8 b[10];\n.const .b8 c[10];";
    let module = Module::load(source).unwrap();
    let loaded = LoadedModule::new(&module, &memory).unwrap();
    assert_eq!((memory.allocations(), memory.used_bytes()), (2, 768));
    let (a, size) = loaded.variable("a").unwrap();
    assert_eq!((size, memory.free(a)), (300, Err(MemoryError::NotAllocated { address: a })));
    let again: Vec<_> = (0..4).map(|_| LoadedModule::new(&module, &memory).unwrap()).collect();
    assert_ne!(again[0].variable("a"), loaded.variable("a"), "each has its own");
    assert_eq!(memory.used_bytes(), 3840);
    let error = LoadedModule::new(&module, &memory).unwrap_err();
    let kind = grafos_ptx::LoadErrorKind::Memory(MemoryError::OutOfMemory { requested: 300, available: 0 });
    assert_eq!(error, grafos_ptx::LoadError { line: 0, kind });
    assert_eq!(memory.used_bytes(), 3840, "what it had taken until then is free again");
    drop((loaded, again));
    assert_eq!((memory.allocations(), memory.used_bytes()), (0, 0));
}

#[test]
fn memory_that_is_freed_under_a_running_kernel_stays_its_own_to_the_end() {
    let rig = Rig::new(
        "",
        "
    mov.u32 %r10, 1;
    st.volatile.global.u32 [%rd0], %r10;
LOOP:
    ld.volatile.global.u32 %r11, [%rd2];
    setp.ne.u32 %p1, %r11, 42;
    @%p1 trap;
    ld.volatile.global.u32 %r11, [%rd0+4];
    setp.eq.u32 %p1, %r11, 0;
    @%p1 bra LOOP;",
    );
    let args = Args { out: rig.words(&[0; 2]), input: rig.words(&[42]), n: 0 };
    let used = rig.memory.used_bytes();
    let report = std::thread::scope(|scope| {
        let running = scope.spawn(|| rig.launch(2, 32, args));
        while rig.read(args.out, 1) == [0] {
            std::thread::yield_now();
        }
        rig.memory.free(args.input).unwrap();
        assert_eq!(rig.memory.used_bytes(), used - 256);
        for _ in 0..1000 {
            rig.memory.free(rig.words(&[7; 64])).unwrap();
        }
        rig.memory.write(args.out + 4, &1_u32.to_le_bytes()).unwrap();
        running.join().unwrap()
    });
    report.outcome.unwrap();
}

#[test]
fn many_launches_at_once_share_one_memory() {
    let rig = Rig::new(
        "",
        "
    atom.global.add.u32 %r10, [%rd2], 1;
    st.global.u32 [%rd1], %r10;",
    );
    let counter = rig.words(&[0]);
    let mut seen: Vec<u32> = std::thread::scope(|scope| {
        let launches: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let mut seen = Vec::new();
                    for _ in 0..25 {
                        let args = Args { out: rig.words(&[0; 128]), input: counter, n: 0 };
                        rig.launch(4, 32, args).outcome.unwrap();
                        seen.extend(rig.read(args.out, 128));
                        rig.memory.free(args.out).unwrap();
                    }
                    seen
                })
            })
            .collect();
        launches.into_iter().flat_map(|launch| launch.join().unwrap()).collect()
    });
    seen.sort_unstable();
    assert_eq!(seen, (0..8 * 25 * 128).collect::<Vec<u32>>());
    assert_eq!(rig.memory.allocations(), 1);
}

#[test]
fn one_switch_stops_all_launches_that_run_under_it() {
    let rig = Rig::new("", "    red.global.add.u32 [%rd0], 1;\nLOOP:\n    bra LOOP;");
    let args = Args { out: rig.words(&[0]), input: 0, n: 0 };
    let interrupt = Interrupt::new();
    let mut limits = Limits::default();
    limits.threads = Some(1);
    std::thread::scope(|scope| {
        let launches: Vec<_> =
            (0..4).map(|_| scope.spawn(|| rig.launch_with(1, 1, args, &limits, &interrupt))).collect();
        while rig.read(args.out, 1) != [4] {
            std::thread::yield_now();
        }
        interrupt.stop();
        for launch in launches {
            let outcome = launch.join().unwrap().outcome;
            assert_eq!(outcome, Err(LaunchError::Cancelled { kernel: "k".to_owned() }));
        }
    });
}
