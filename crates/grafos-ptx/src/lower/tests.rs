//! Tests of names, layout and operands, on the program that comes out.

use crate::module::Module;
use crate::program::{
    AddressOf, Base, Element, Extend, FrameBytes, Function, Op, PredicateOp, Preset, Program, Space, Special,
    Symbol,
};

fn with_program<T>(text: &str, then: impl FnOnce(&Program) -> T) -> T {
    let source = format!(".version 8.0\n.target sm_90\n.address_size 64\n{text}");
    match Module::load(source.as_bytes()) {
        Ok(module) => then(module.program()),
        Err(error) => panic!("{error}"),
    }
}

const REGISTERS: &str =
    ".reg .pred %p<9>; .reg .b16 %rs<9>; .reg .b32 %r<9>; .reg .b64 %rd<9>; .reg .f32 %f<9>;";

/// The only function of a module with this body.
fn with_body<T>(body: &str, then: impl FnOnce(&Function) -> T) -> T {
    let text = format!(".entry k(.param .u64 a, .param .u32 n) {{ {REGISTERS}\n{body}\n}}");
    with_program(&text, |program| then(&program.functions[0]))
}

fn preset(function: &Function, slot: u16, is_64: bool) -> Option<Preset> {
    let wide =
        |preset: &Preset| matches!(preset, Preset::Bits64(_) | Preset::Address64(_) | Preset::Special64(_));
    function
        .presets
        .iter()
        .find(|(at, preset)| *at == slot && wide(preset) == is_64)
        .map(|(_, preset)| *preset)
}

#[test]
fn registers_have_slots_when_they_are_used_and_constants_share_theirs() {
    with_body(".reg .b32 %x<1000>;\nmov.u32 %x7, 5;\nmov.u32 %x999, 5;\nadd.u32 %x7, %x999, 5;", |k| {
        assert_eq!((k.num_regs_32, k.num_regs_64, k.num_preds), (3, 0, 0));
        assert_eq!(k.presets.len(), 1);
        assert_eq!(k.presets[0].1, Preset::Bits32(5));
        let [
            Op::Move32 { dest: x7, source: five },
            Op::Move32 { dest: x999, .. },
            Op::Compute { dest, sources, .. },
            Op::Exit,
        ] = [0, 1, 2, 3].map(|i| k.code[i].op.clone())
        else {
            panic!("{:?}", k.code)
        };
        assert_eq!((dest, sources), (x7, [x999, five, 0, 0]));
        assert_eq!(k.lines, [6, 7, 8, 8]);
    });
}

#[test]
fn special_registers_are_preset() {
    with_body("mov.u32 %r1, %ntid.y; mov.u64 %rd1, %gridid; add.u32 %r1, %tid.x, %r1;", |k| {
        let presets: Vec<_> = k.presets.iter().map(|(_, preset)| *preset).collect();
        let expected = [
            Preset::Special32(Special::Ntid(1)),
            Preset::Special64(Special::GridId),
            Preset::Special32(Special::Tid(0)),
        ];
        assert_eq!(presets, expected);
    });
}

#[test]
fn inner_names_hide_outer_ones_and_labels_belong_to_their_block() {
    let body = "{ .reg .b64 %r1; mov.u64 %r1, 1; L: bra L; } { L: bra L; bra M; } M: mov.u32 %r1, 1;";
    with_body(body, |k| {
        assert!(matches!(k.code[0].op, Op::Move64 { .. }));
        assert!(matches!(k.code[1].op, Op::Branch { target: 1 }));
        assert!(matches!(k.code[2].op, Op::Branch { target: 2 }));
        assert!(matches!(k.code[3].op, Op::Branch { target: 4 }));
        assert!(matches!(k.code[4].op, Op::Move32 { .. }));
    });
}

#[test]
fn a_label_at_the_end_is_the_end_of_the_function() {
    with_body("@%p1 bra END; trap; END:", |k| {
        assert!(matches!(k.code[0].op, Op::Branch { target: 2 }));
        assert!(matches!(k.code[2].op, Op::Exit));
        assert_eq!(k.code[2].guard, None);
    });
    with_program(".func f() { }", |program| assert!(matches!(program.functions[0].code[0].op, Op::Return)));
}

#[test]
fn tables_hold_places() {
    with_body("T: .branchtargets B, A, B;\nbrx.idx %r1, T; A: trap; B: trap;", |k| {
        assert_eq!(k.branch_tables, [[2, 1, 2]]);
        assert!(matches!(k.code[0].op, Op::BranchIndexed { table: 0, .. }));
    });
}

#[test]
fn narrow_values_are_extended_as_their_registers_want() {
    let element = |body: &str| {
        with_body(body, |k| match &k.code[0].op {
            Op::Load(access) => (access.element, k.code.len() - 1),
            other => panic!("{other:?}"),
        })
    };
    let load = |bytes, extend, is_64| Element { bytes, extend, is_64 };
    assert_eq!(element("ld.global.u8 %rs1, [%rd1];"), (load(1, Extend::Zero, false), 1));
    assert_eq!(element("ld.global.s8 %r1, [%rd1];"), (load(1, Extend::Sign, false), 1));
    assert_eq!(element("ld.global.s16 %rd1, [%rd1];"), (load(2, Extend::Sign, true), 1));
    assert_eq!(element("ld.global.s16 %rs1, [%rd1];"), (load(2, Extend::Zero, false), 1));
    // Extended to 16 bits by an instruction of its own: the bits above stay zero.
    assert_eq!(element("ld.global.s8 %rs1, [%rd1];"), (load(1, Extend::Zero, false), 2));
    assert_eq!(element("ld.global.b32 %rd1, [%rd1];"), (load(4, Extend::Zero, true), 1));
}

#[test]
fn names_in_brackets_become_places() {
    let access = |body: &str| {
        with_body(body, |k| match k.code.iter().rev().nth(1).map(|instruction| &instruction.op) {
            Some(Op::Load(access) | Op::Store(access)) => {
                let base = match access.address.base {
                    Base::Reg64(slot) => preset(k, slot, true),
                    _ => None,
                };
                (access.space, base, access.address.offset)
            }
            other => panic!("{other:?}"),
        })
    };
    assert_eq!(access("ld.param.u32 %r1, [n];"), (Space::Param, None, 8));
    assert_eq!(access("ld.param.u8 %r1, [a+3];"), (Space::Param, None, 3));
    assert_eq!(access(".local .b8 x[6]; .local .b64 y; st.local.u64 [y], %rd1;"), (Space::Local, None, 8));
    assert_eq!(access(".param .b32 x; st.param.b32 [x+0], %r1;"), (Space::Local, None, 0));
    assert_eq!(
        access(".shared .b8 x[6]; .shared .u64 y; st.shared.u64 [y+8], %rd1;"),
        (Space::Shared, None, 8)
    );
    let both = ".shared .b8 x[6]; .shared .u64 y; st.shared.u8 [x], %r1; st.shared.u64 [y+8], %rd1;";
    assert_eq!(access(both), (Space::Shared, None, 16));
    let of = AddressOf { of: Symbol::Variable(0), addend: 0, generic: false };
    let global = (Space::Global, Some(Preset::Address64(of)), 4);
    assert_eq!(access(".global .u32 g[4]; st.global.u32 [g+4], %r1;"), global);
    let of = AddressOf { of: Symbol::Shared(8), addend: 0, generic: true };
    let generic = (Space::Generic, Some(Preset::Address64(of)), 2);
    assert_eq!(access(".shared .u64 w; .shared .u64 s; st.shared.u64 [w], %rd1; st.u8 [s+2], %r1;"), generic);
}

#[test]
fn parameters_of_functions_lie_in_their_frames() {
    let text = ".func (.param .b32 r) f(.param .b8 x, .param .align 16 .b8 y[20]) { .reg .b32 %r<2>; ld.param.u32 %r1, [y+4]; st.param.u32 [r], %r1; ret; }
.entry k() { .param .b8 x; .param .align 16 .b8 y[20]; { .param .b32 q; call (q), f, (x, y); } { .param .b64 z[4]; } { .param .b64 z[4]; } }";
    with_program(text, |program| {
        let [f, k] = &program.functions[..] else { panic!("two functions") };
        let places: Vec<_> = f.results.iter().chain(&f.params).map(|p| (p.offset, p.size, p.align)).collect();
        assert_eq!(places, [(0, 4, 4), (4, 1, 1), (16, 20, 16)]);
        assert_eq!(f.local_bytes, 48);
        let Op::Load(load) = &f.code[0].op else { panic!("{:?}", f.code) };
        assert_eq!((load.space, load.address.offset), (Space::Local, 20));
        let Op::Call(call) = &k.code[0].op else { panic!("{:?}", k.code) };
        assert_eq!(call.arguments, [FrameBytes { offset: 0, size: 1 }, FrameBytes { offset: 16, size: 20 }]);
        assert_eq!(call.results, [FrameBytes { offset: 36, size: 4 }]);
        assert_eq!(k.local_bytes, 80, "blocks one after the other share their memory");
    });
}

#[test]
fn shared_memory_lies_at_one_place_for_all_kernels_that_reach_it() {
    let text = ".shared .b8 common[24];
.func leaf() { .shared .b8 own[8]; st.shared.u8 [own], 1; ret; }
.func middle() { call leaf; ret; }
.entry a() { .shared .b8 mine[100]; st.shared.u8 [mine], 1; st.shared.u8 [common], 1; call middle; }
.entry b() { .shared .b8 mine[50]; st.shared.u8 [mine], 1; st.shared.u8 [common], 1; }
.entry c() { call leaf; }
.entry d() { .shared .b8 mine[10]; st.shared.u8 [mine], 1; }";
    with_program(text, |program| {
        let offset = |function: usize, at: usize| match &program.functions[function].code[at].op {
            Op::Store(access) => access.address.offset,
            other => panic!("{other:?}"),
        };
        // `common` and `own` are reached by two kernels each; what is a kernel's own lies behind what it has of them.
        assert_eq!((offset(2, 1), offset(0, 0)), (0, 24));
        assert_eq!((offset(2, 0), offset(3, 0), offset(5, 0)), (32, 24, 0));
        let bytes: Vec<_> = program.functions.iter().map(|function| function.shared_bytes).collect();
        assert_eq!(bytes, [0, 0, 132, 74, 32, 10]);
    });
}

#[test]
fn an_indirect_call_reaches_every_function_whose_address_is_taken() {
    let text = ".func f() { .shared .b8 own[8]; st.shared.u8 [own], 1; ret; }
.global .u64 table = f;
.entry k() { .reg .b64 %rd<2>; ld.global.u64 %rd1, [table]; P: .callprototype _ (); call %rd1, (), P; }
.entry other() { ret; }";
    with_program(text, |program| {
        let bytes: Vec<_> = program.functions.iter().map(|function| function.shared_bytes).collect();
        assert_eq!(bytes, [0, 8, 0]);
        assert_eq!(program.variables[0].relocations[0].1.of, Symbol::Function(0));
    });
}

#[test]
fn initialisers_become_bytes() {
    let text = ".global .u16 a[2][3] = {{1, -2}, {0x10003}};
.const .f32 b[2] = {1.0, 0f80000000};
.global .u64 c[3] = {5, generic(a)+6, f};
.global .b8 d[9];
.global .u32 e[] = {1, 2};
.func f() { ret; }";
    with_program(text, |program| {
        let [a, b, c, d, e] = &program.variables[..] else { panic!("five variables") };
        assert_eq!((a.size, a.initial.as_slice()), (12, &[1, 0, 0xfe, 0xff, 0, 0, 3, 0][..]));
        assert_eq!((b.is_const, b.initial.as_slice()), (true, &[0, 0, 0x80, 0x3f, 0, 0, 0, 0x80][..]));
        let address = |of, addend, generic| AddressOf { of, addend, generic };
        let relocations =
            [(8, address(Symbol::Variable(0), 6, true)), (16, address(Symbol::Function(0), 0, false))];
        assert_eq!(c.relocations, relocations);
        assert_eq!((d.size, d.align, d.initial.len()), (9, 1, 0));
        assert_eq!((e.size, e.align), (8, 4));
    });
}

#[test]
fn constant_truths_and_negations_become_predicates() {
    with_body("and.pred %p1, !%p2, 1;", |k| {
        let ops = k.code.iter().map(|instruction| match instruction.op {
            Op::Predicate { op, .. } => Some(op),
            _ => None,
        });
        let expected = [PredicateOp::Not, PredicateOp::Xor, PredicateOp::Not, PredicateOp::And].map(Some);
        assert_eq!(ops.collect::<Vec<_>>()[..4], expected);
    });
    with_body("mov.pred %p1, 0;", |k| assert_eq!(k.code.len(), 5, "a truth, its opposite, and the move"));
}

#[test]
fn comparisons_with_one_result_are_plain() {
    with_body(
        "setp.lt.s32 %p1, %r1, 0; setp.lt.s32 %p1|%p2, %r1, 0; setp.lt.or.s32 %p1, %r1, 0, !%p3;",
        |k| {
            assert!(matches!(k.code[0].op, Op::Compute { .. }));
            assert!(
                matches!(&k.code[1].op, Op::SetPredicate(set) if set.combine.is_none() && set.q.is_some())
            );
            assert!(matches!(&k.code[2].op, Op::SetPredicate(set)
            if matches!(set.combine, Some((PredicateOp::Or, guard)) if guard.negated) && set.q.is_none()));
        },
    );
}

#[test]
fn conversions_fill_wider_registers() {
    // To 8 bits, then from there to the 16 of the register.
    with_body("cvt.s8.s32 %rs1, %r1;", |k| assert_eq!(k.code.len(), 3));
    with_body("cvt.u32.u16 %r1, %rs1;", |k| assert_eq!(k.code.len(), 2));
    // The lower half of a wide source first.
    with_body("cvt.u32.u16 %r1, %rd1;", |k| assert!(matches!(k.code[0].op, Op::Unpack(_))));
}

#[test]
fn arguments_in_registers_go_through_the_frame() {
    let text = ".func (.reg .u32 r) f(.reg .u32 a, .reg .u64 b) { mov.u32 r, a; ret; }
.entry k() { .reg .u32 %x<3>; call (%x1), f, (%x2, 7); }";
    with_program(text, |program| {
        let kinds = |function: usize| {
            let name = |op: &Op| match op {
                Op::Load(_) => "load",
                Op::Store(_) => "store",
                Op::Call(_) => "call",
                Op::Move32 { .. } => "move",
                Op::Return => "return",
                _ => "other",
            };
            program.functions[function].code.iter().map(|i| name(&i.op)).collect::<Vec<_>>()
        };
        assert_eq!(kinds(0), ["load", "load", "move", "store", "return", "store", "return"]);
        assert_eq!(kinds(1), ["store", "store", "call", "load", "other"]);
    });
}
