//! Broken and hostile modules, and what this machine does not run.

use super::{HEADER, check, error, kernel};

#[test]
fn the_header_must_be_one_that_is_known() {
    check(
        &[
            ("", "line 1: expected `.version`, found=the end of the source"),
            (".target sm_70", "line 1: expected `.version`, found=.target"),
            (
                ".version 1.4\n.target sm_70",
                "line 1: not supported: version other than 2.3 to 9.x, found=1.4",
            ),
            (
                ".version 10.0\n.target sm_70",
                "line 1: not supported: version other than 2.3 to 9.x, found=10.0",
            ),
            (".version 7\n.target sm_70", "line 1: not supported: version other than 2.3 to 9.x, found=7"),
            (".version 7.0\n.target amdgcn\n.address_size 64", "line 2: not supported: target, found=amdgcn"),
            (
                ".version 7.0\n.target sm_70, map_f64_to_f32\n.address_size 64",
                "line 2: not supported: target, found=map_f64_to_f32",
            ),
            (
                ".version 7.0\n.target sm_70\n.address_size 32",
                "line 3: not supported: address size other than 64, found=32",
            ),
            (
                ".version 7.0\n.target sm_70\n.visible .entry k() { ret; }",
                "line 3: expected `.address_size 64`, found=.visible",
            ),
            (
                ".version 7.0\n.target sm_70\n.address_size 64\n.version 7.0",
                "line 4: expected the header only once, found=.version",
            ),
            ("; ModuleID = 'k'\ntarget triple = \"nvptx64\"", "line 1: expected `.version`, found=;"),
            ("__global__ void k() {}", "line 1: expected `.version`, found=__global__"),
        ],
        str::to_owned,
    );
}

#[test]
fn images_that_are_no_text_are_told_by_their_kind() {
    assert_eq!(
        error(b"\x7fELF\x02\x01\x01\x33\x07"),
        "line 0: not supported: image other than PTX text, found=an ELF image (cubin)"
    );
    assert_eq!(
        error(b"\x50\xed\x55\xba\x01\x00\x10\x00"),
        "line 0: not supported: image other than PTX text, found=a fat binary"
    );
    assert_eq!(
        error(b"\xb1\x43\x62\x46\x01\x00\x00\x00"),
        "line 0: not supported: image other than PTX text, found=a wrapped fat binary"
    );
    assert_eq!(
        error(b"BC\xc0\xde\x35\x14"),
        "line 0: not supported: image other than PTX text, found=LLVM bitcode"
    );
    assert_eq!(
        error(&[HEADER.as_bytes(), b"// \xff\xfe\n"].concat()),
        "line 4: expected UTF-8 text, found=byte 0xff"
    );
    assert_eq!(error(b"\0"), "line 1: expected `.version`, found=the end of the source");
    assert_eq!(error(&[HEADER.as_bytes(), b"\0\0"].concat()), "line 4: expected a token, found=\\0");
}

#[test]
fn syntax_errors_name_what_could_stand_there() {
    check(
        &[
            ("mov.u32 %r1, 1", "line 7: expected `,` or `;` after an operand, found=}"),
            ("mov.u32 %r1 1;", "line 6: expected `,` or `;` after an operand, found=1"),
            ("mov.u32 , 1;", "line 6: expected an operand or a constant, found=,"),
            ("ld.global.u32 %r1, [%rd1;", "line 6: expected `]`, found=;"),
            ("ld.global.u32 %r1, [%rd1+%r2];", "line 6: expected an operand or a constant, found=%r2"),
            ("mov.b32 %r1, {%rs1, %rs2;", "line 6: expected `,` or `}` in a vector, found=;"),
            ("mov.b32 %r1, {};", "line 6: expected an operand or a constant, found=}"),
            ("mov.u32 %r1, 0x;", "line 6: expected a number of at most 64 bits, found=0x"),
            ("mov.u32 %r1, 0xZZ;", "line 6: expected a number of at most 64 bits, found=0xZZ"),
            ("mov.u32 %r1, 09;", "line 6: expected a number of at most 64 bits, found=09"),
            (
                "mov.u32 %r1, 99999999999999999999;",
                "line 6: expected a number of at most 64 bits, found=99999999999999999999",
            ),
            ("mov.f32 %f1, 0f3F8;", "line 6: expected a number of at most 64 bits, found=0f3F8"),
            ("mov.u32 %r1, 1/0;", "line 6: expected a divisor other than 0, found=/"),
            ("mov.u32 %r1, (1;", "line 6: expected `)`, found=;"),
            ("mov.u32 %r1, (.u32) 1;", "line 6: expected `.s64` or `.u64`, found=u32"),
            ("mov.u32 %r1, 1 + 1.0;", "line 6: expected integers around an operator before this, found=;"),
            ("@ mov.u32 %r1, 1;", "line 6: expected an instruction, found=.u32"),
            ("#define A", "line 6: expected a token, found=#define"),
            ("/* open", "line 6: expected `*/` after `/*`, found=the end of the source"),
            (".pragma \"open\n;", "line 6: expected `\"` at the end of a text, found=the end of the line"),
            (".reg .b32 ;", "line 6: expected a name, found=;"),
            (".reg %x;", "line 6: expected a type, found=%x"),
            (".reg .b32 %x<-1>;", "line 6: expected a number, found=-"),
            (".local .b8 x[-1];", "line 6: expected a number that is not negative before this, found=]"),
            ("}", "line 7: expected a directive, found=}"),
            ("{", "line 8: expected a statement or `}`, found=the end of the source"),
            ("L: L2:; ret;", "line 6: expected a statement or `}`, found=;"),
            ("\u{fc}", "line 6: expected a token, found=ü"),
        ],
        kernel,
    );
}

#[test]
fn names_must_be_known_and_declared_once() {
    check(
        &[
            ("mov.u32 %r9, 1;", "line 6: unknown register or variable: name=%r9"),
            ("mov.u32 %x, 1;", "line 6: unknown register or variable: name=%x"),
            ("mov.u32 %r1, %x;", "line 6: unknown register or variable: name=%x"),
            ("mov.u32 %r1, x;", "line 6: unknown register or variable: name=x"),
            ("mov.u32 %r1, %tid.q;", "line 6: operand 2 of mov.u32: expected a register, found=%tid.q"),
            (
                "mov.u32 %r1, %reserved_smem_offset_begin;",
                "line 6: not supported: special register, found=%reserved_smem_offset_begin",
            ),
            ("@%q mov.u32 %r1, 1;", "line 6: unknown register or variable: name=%q"),
            ("ld.global.u32 %r1, [x];", "line 6: unknown register or variable: name=x"),
            ("ld.param.u32 %r1, [b];", "line 6: unknown register or variable: name=b"),
            ("bra L;", "line 6: unknown label: name=L"),
            ("{ L: } bra L;", "line 6: unknown label: name=L"),
            ("bra %r1;", "line 6: unknown label: name=%r1"),
            ("brx.idx %r1, L;", "line 6: unknown list of labels: name=L"),
            ("T: .branchtargets L;", "line 6: unknown label: name=L"),
            ("call f;", "line 6: unknown function: name=f"),
            ("call %rd1, (), P;", "line 6: unknown prototype: name=P"),
            ("F: .calltargets f;", "line 6: unknown function: name=f"),
            ("L: L:", "line 6: declared twice: name=L, first_line=6"),
            (".reg .b32 %x;\n.reg .b64 %x;", "line 7: declared twice: name=%x, first_line=6"),
            (".reg .b32 %x<4>;\n.reg .b32 %x2;", "line 7: declared twice: name=%x2, first_line=6"),
            (".local .b8 a[4];", "accepted"),
            (".local .b8 x[4];\n.shared .b8 x[4];", "line 7: declared twice: name=x, first_line=6"),
        ],
        kernel,
    );
    check(
        &[
            (".global .u32 x;\n.global .u64 x;", "line 5: declared twice: name=x, first_line=4"),
            (".global .u32 x;\n.func x() { ret; }", "line 5: declared twice: name=x, first_line=4"),
            (".func x() { ret; }\n.func x() { ret; }", "line 5: declared twice: name=x, first_line=4"),
            (".entry x() { ret; }\n.func x() { ret; }", "line 5: declared twice: name=x, first_line=4"),
            (
                ".entry x(.param .u32 p, .param .u32 p) { ret; }",
                "line 4: declared twice: name=p, first_line=4",
            ),
            (".extern .global .u32 x;", "line 4: unknown definition of an external variable: name=x"),
            (
                ".extern .func x();\n.entry k() { call x; }",
                "line 5: unknown definition of a function: name=x",
            ),
            (
                ".extern .func x();\n.entry k() { .reg .u64 %a; mov.u64 %a, x; }",
                "line 5: unknown definition of a function: name=x",
            ),
            (".extern .func x();\n.global .u64 a = x;", "line 5: unknown definition of a function: name=x"),
            (".extern .func malloc();\n.entry k() { ret; }", "accepted"),
            (".global .u64 a = b;", "line 4: unknown variable or function: name=b"),
            (".alias f, g;", "line 4: unknown function: name=g"),
            (
                ".func f() { ret; }\n.func g() { ret; }\n.alias f, g;",
                "line 6: declared twice: name=f, first_line=4",
            ),
        ],
        |body| format!("{HEADER}{body}"),
    );
}

#[test]
fn operands_must_fit_their_instruction() {
    check(
        &[
            ("mov.u32 %rd1, 1;", "line 6: operand 1 of mov.u32: expected a register of 32 bits, found=%rd1"),
            ("mov.u64 %rd1, %r1;", "line 6: operand 2 of mov.u64: expected a register of 64 bits, found=%r1"),
            (
                "mov.u32 %r1, 1.0;",
                "line 6: operand 2 of mov.u32: expected an integer constant, found=0d3FF0000000000000",
            ),
            ("mov.f32 %f1, 1;", "line 6: operand 2 of mov.f32: expected a floating-point constant, found=1"),
            ("mov.u32 %r1;", "line 6: operand 0 of mov.u32: expected 2 operands, found=1"),
            ("mov.u32 %r1, %r2, %r3;", "line 6: operand 0 of mov.u32: expected 2 operands, found=3"),
            ("mov.u32 5, %r1;", "line 6: operand 1 of mov.u32: expected a register, found=5"),
            ("mov.u32 %r1, [%rd1];", "line 6: operand 2 of mov.u32: expected a register, found=[%rd1]"),
            (
                "mov.u16 %rs1, a;",
                "line 6: operand 2 of mov.u16: expected a type of 32 or 64 bits for an address, found=a",
            ),
            ("mov.u32 %r1, %p1;", "line 6: operand 2 of mov.u32: expected a register of 32 bits, found=%p1"),
            ("mov.pred %p1, %r1;", "line 6: operand 2 of mov.pred: expected a predicate, found=%r1"),
            (
                "mov.b64 %rd1, {%r1, %r2, %r3};",
                "line 6: operand 2 of mov.b64: expected another number of elements, found=3",
            ),
            (
                "mov.b64 %rd1, {%r1, %rs1};",
                "line 6: operand 2 of mov.b64: expected a register of 32 bits, found=%rs1",
            ),
            (
                "mov.b64 {%r1, %rd2}, %rd1;",
                "line 6: operand 1 of mov.b64: expected a register of 32 bits, found=%rd2",
            ),
            ("mov.u32 %tid.x, 1;", "line 6: operand 1 of mov.u32: expected a register, found=%tid.x"),
            (
                "@%r1 mov.u32 %r1, 1;",
                "line 6: operand 0 of mov.u32: expected a predicate as guard, found=%r1",
            ),
            ("@%rd1 ret;", "line 6: operand 0 of ret: expected a predicate as guard, found=%rd1"),
            ("add.u32 %r1, %r2;", "line 6: operand 0 of add.u32: expected 3 operands, found=2"),
            (
                "add.u32 %r1, %r2, %rd1;",
                "line 6: operand 3 of add.u32: expected a register of 32 bits, found=%rd1",
            ),
            (
                "add.u32 %r1, %r2, %rs1;",
                "line 6: operand 3 of add.u32: expected a register of 32 bits, found=%rs1",
            ),
            (
                "add.u64 %r1, %rd1, %rd2;",
                "line 6: operand 1 of add.u64: expected a register of 64 bits, found=%r1",
            ),
            (
                "add.f32 %f1, %f2, 1;",
                "line 6: operand 3 of add.f32: expected a floating-point constant, found=1",
            ),
            (
                "setp.lt.u32 %r1, %r2, %r3;",
                "line 6: operand 1 of setp.lt.u32: expected a predicate, found=%r1",
            ),
            (
                "setp.lt.u32 %p1, %r2, %rd3;",
                "line 6: operand 3 of setp.lt.u32: expected a register of 32 bits, found=%rd3",
            ),
            (
                "setp.lt.and.u32 %p1, %r2, %r3;",
                "line 6: operand 0 of setp.lt.and.u32: expected 4 operands, found=3",
            ),
            (
                "setp.lt.and.u32 %p1, %r2, %r3, %r4;",
                "line 6: operand 4 of setp.lt.and.u32: expected a predicate, found=%r4",
            ),
            (
                "selp.u32 %r1, %r2, %r3, %r4;",
                "line 6: operand 4 of selp.u32: expected a predicate, found=%r4",
            ),
            ("and.pred %p1, %p2;", "line 6: operand 0 of and.pred: expected 3 operands, found=2"),
            ("not.pred %p1, %r2;", "line 6: operand 2 of not.pred: expected a predicate, found=%r2"),
            (
                "ld.global.u64 %r1, [%rd1];",
                "line 6: operand 1 of ld.global.u64: expected a register at least as wide as the type, found=%r1",
            ),
            (
                "ld.global.u32 %r1, %rd1;",
                "line 6: operand 2 of ld.global.u32: expected an address in brackets, found=%rd1",
            ),
            (
                "ld.global.u32 %r1, [%rs1];",
                "line 6: operand 2 of ld.global.u32: expected an address of 32 or 64 bits, found=[%rs1]",
            ),
            (
                "ld.global.u32 %p1, [%rd1];",
                "line 6: operand 1 of ld.global.u32: expected a register at least as wide as the type, found=%p1",
            ),
            (
                "ld.global.v2.u32 %r1, [%rd1];",
                "line 6: operand 1 of ld.global.v2.u32: expected as many elements as the vector has, found=%r1",
            ),
            (
                "ld.global.v2.u32 {%r1, %r2, %r3}, [%rd1];",
                "line 6: operand 1 of ld.global.v2.u32: expected as many elements as the vector has, found=a vector of 3",
            ),
            (
                "ld.global.v2.u32 {%r1, %rd2}, [%rd1];",
                "line 6: operand 1 of ld.global.v2.u32: expected registers of one size, found=registers of several",
            ),
            (
                "ld.global.u32 %r1, [n];",
                "line 6: operand 2 of ld.global.u32: expected a variable in the state space of the instruction, found=[n]",
            ),
            (
                "ld.shared.u32 %r1, [a];",
                "line 6: operand 2 of ld.shared.u32: expected a variable in the state space of the instruction, found=[a]",
            ),
            (
                "ld.global.u32 %r1, [k];",
                "line 6: instruction not supported: opcode=ld.global.u32, a kernel has no address",
            ),
            (
                "st.global.u32 [%rd1], %rs1;",
                "line 6: operand 2 of st.global.u32: expected a register at least as wide as the type, found=%rs1",
            ),
            (
                "st.global.f32 [%rd1], 1;",
                "line 6: operand 2 of st.global.f32: expected a constant of the type that is stored, found=1",
            ),
            ("st.global.u32 [%rd1], _;", "line 6: operand 2 of st.global.u32: expected a register, found=_"),
            (
                "cvt.u32.u16 %p1, %rs1;",
                "line 6: operand 1 of cvt.u32.u16: expected a register as wide as the result, found=%p1",
            ),
            (
                "cvt.u64.u32 %r1, %r2;",
                "line 6: operand 1 of cvt.u64.u32: expected a register as wide as the result, found=%r1",
            ),
            (
                "cvt.u32.u64 %r1, %r2;",
                "line 6: operand 2 of cvt.u32.u64: expected a register of 64 bits, found=%r2",
            ),
            (
                "cvt.rn.f32.f64 %rd1, %fd1;",
                "line 6: operand 1 of cvt.rn.f32.f64: expected a register as wide as the result, found=%rd1",
            ),
            (
                "cvta.global.u64 %rd1, %r1;",
                "line 6: operand 2 of cvta.global.u64: expected a register of 64 bits, found=%r1",
            ),
            (
                "isspacep.global %r1, %rd1;",
                "line 6: operand 1 of isspacep.global: expected a predicate, found=%r1",
            ),
            (
                "atom.global.add.u32 %rd1, [%rd1], %r1;",
                "line 6: operand 1 of atom.global.add.u32: expected a register of 32 bits, found=%rd1",
            ),
            (
                "atom.global.cas.b32 %r1, [%rd1], %r1;",
                "line 6: operand 0 of atom.global.cas.b32: expected 4 operands, found=3",
            ),
            (
                "red.global.add.u32 %r1, [%rd1], %r1;",
                "line 6: operand 0 of red.global.add.u32: expected 2 operands, found=3",
            ),
            ("bar.sync;", "line 6: operand 0 of bar.sync: expected 1 or 2 operands, found=0"),
            (
                "bar.sync 0, %rd1;",
                "line 6: operand 2 of bar.sync: expected a register of 32 bits, found=%rd1",
            ),
            (
                "bar.red.popc.u32 %p1, 0, %p2;",
                "line 6: operand 1 of bar.red.popc.u32: expected a register of 32 bits, found=%p1",
            ),
            (
                "shfl.sync.idx.b32 %r1, %r2, 0, 31;",
                "line 6: operand 0 of shfl.sync.idx.b32: expected 5 operands, found=4",
            ),
            (
                "shfl.sync.idx.b32 %r1|%r2, %r2, 0, 31, -1;",
                "line 6: operand 1 of shfl.sync.idx.b32: expected a predicate, found=%r2",
            ),
            (
                "vote.sync.any.pred %p1, %r1, -1;",
                "line 6: operand 2 of vote.sync.any.pred: expected a predicate, found=%r1",
            ),
            (
                "vote.sync.ballot.b32 %p1, %p2, -1;",
                "line 6: operand 1 of vote.sync.ballot.b32: expected a register of 32 bits, found=%p1",
            ),
            (
                "match.any.sync.b32 %r1|%p1, %r2, -1;",
                "line 6: operand 1 of match.any.sync.b32: expected a register, found=%r1|%p1",
            ),
            (
                "redux.sync.add.u32 %r1, %rd2, -1;",
                "line 6: operand 2 of redux.sync.add.u32: expected a register of 32 bits, found=%rd2",
            ),
            (
                "elect.sync %r1, -1;",
                "line 6: operand 1 of elect.sync: expected a register and a predicate, found=%r1",
            ),
            (
                "activemask.b32 %rd1;",
                "line 6: operand 1 of activemask.b32: expected a register of 32 bits, found=%rd1",
            ),
            (
                "nanosleep.u32 %rd1;",
                "line 6: operand 1 of nanosleep.u32: expected a register of 32 bits, found=%rd1",
            ),
            ("bra 5;", "line 6: operand 1 of bra: expected a label, found=5"),
            ("brx.idx %rd1, T;", "line 6: operand 1 of brx.idx: expected a register of 32 bits, found=%rd1"),
            ("ret 5;", "line 6: operand 0 of ret: expected no operands, found=1"),
            ("call 5;", "line 6: operand 1 of call: expected a function, found=5"),
            (
                "call (%r1), k, (%r1);",
                "line 6: instruction not supported: opcode=call, a kernel can't be called",
            ),
            ("call %r1, P;", "line 6: operand 1 of call: expected a register of 64 bits, found=%r1"),
            (
                "call %rd1;",
                "line 6: operand 0 of call: expected a prototype or a list of targets at the end, found=1",
            ),
        ],
        kernel,
    );
    check(
        &[
            ("call f;", "line 6: operand 0 of call: expected as many arguments as the function has, found=0"),
            (
                "call (r), f;",
                "line 6: operand 0 of call: expected as many arguments as the function has, found=0",
            ),
            (
                "call (r), f, (p);",
                "line 6: operand 0 of call: expected as many arguments as the function has, found=1",
            ),
            (
                "call (r), f, (p, q, p);",
                "line 6: operand 0 of call: expected as many arguments as the function has, found=3",
            ),
            (
                "call (r), f, (p, p);",
                "line 6: operand 3 of call: expected a variable as large as the parameter, found=p",
            ),
            (
                "call (q), f, (p, q);",
                "line 6: operand 1 of call: expected a variable as large as the parameter, found=q",
            ),
            (
                "call (r), f, (p, %r1);",
                "line 6: operand 3 of call: expected a register as wide as the parameter, found=%r1",
            ),
            (
                "call (r), f, (p, q), P;",
                "line 6: operand 0 of call: expected no prototype for a call by name, found=4",
            ),
            ("call (r), f, (%r1, 7);", "accepted"),
            ("call (%r1), f, (p, q);", "accepted"),
        ],
        |call| {
            format!(
                "{HEADER}.func (.param .b32 r) f(.param .b32 a, .param .b64 b) {{ ret; }}
.entry k() {{ .reg .b32 %r<9>; .param .b32 r; .param .b32 p; .param .b64 q;
{call}\n}}"
            )
        },
    );
}

#[test]
fn what_the_machine_does_not_run_is_named_with_its_line() {
    let cases = [
        (
            "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%f1,%f2,%f3,%f4}, {%r1,%r2,%r3,%r4}, {%r5,%r6}, {%f1,%f2,%f3,%f4};",
            "line 6: instruction not supported: opcode=mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32, matrix units are not modelled",
        ),
        (
            "wmma.load.a.sync.aligned.row.m16n16k16.f16 {%r1}, [%rd1];",
            "line 6: instruction not supported: opcode=wmma.load.a.sync.aligned.row.m16n16k16.f16, matrix units are not modelled",
        ),
        (
            "wgmma.fence.sync.aligned;",
            "line 6: instruction not supported: opcode=wgmma.fence.sync.aligned, matrix units are not modelled",
        ),
        (
            "ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r1}, [%r2];",
            "line 6: instruction not supported: opcode=ldmatrix.sync.aligned.m8n8.x1.shared.b16, matrix units are not modelled",
        ),
        (
            "stmatrix.sync.aligned.m8n8.x1.shared.b16 [%r2], {%r1};",
            "line 6: instruction not supported: opcode=stmatrix.sync.aligned.m8n8.x1.shared.b16, matrix units are not modelled",
        ),
        (
            "movmatrix.sync.aligned.m8n8.trans.b16 %r1, %r2;",
            "line 6: instruction not supported: opcode=movmatrix.sync.aligned.m8n8.trans.b16, matrix units are not modelled",
        ),
        (
            "tcgen05.fence::before_thread_sync;",
            "line 6: instruction not supported: opcode=tcgen05.fence::before_thread_sync, matrix units are not modelled",
        ),
        (
            "cp.async.ca.shared.global [%r1], [%rd1], 16;",
            "line 6: instruction not supported: opcode=cp.async.ca.shared.global, asynchronous copies are not modelled",
        ),
        (
            "cp.async.wait_all;",
            "line 6: instruction not supported: opcode=cp.async.wait_all, asynchronous copies are not modelled",
        ),
        (
            "cp.async.bulk.tensor.1d.shared::cluster.global.mbarrier::complete_tx::bytes [%r1], [%rd1, {%r2}], [%r3];",
            "line 6: instruction not supported: opcode=cp.async.bulk.tensor.1d.shared::cluster.global.mbarrier::com, asynchronous copies are not modelled",
        ),
        (
            "mbarrier.init.shared.b64 [%r1], 1;",
            "line 6: instruction not supported: opcode=mbarrier.init.shared.b64, asynchronous barriers are not modelled",
        ),
        (
            "fence.proxy.tensormap::generic.release.gpu;",
            "line 6: instruction not supported: opcode=fence.proxy.tensormap::generic.release.gpu, tensor and multicast memory is not modelled",
        ),
        (
            "fence.mbarrier_init.release.cluster;",
            "line 6: instruction not supported: opcode=fence.mbarrier_init.release.cluster, asynchronous barriers are not modelled",
        ),
        (
            "st.async.shared::cluster.mbarrier::complete_tx::bytes.b32 [%r1], %r2, [%r3];",
            "line 6: instruction not supported: opcode=st.async.shared::cluster.mbarrier::complete_tx::bytes.b32, asynchronous stores are not modelled",
        ),
        (
            "red.async.relaxed.cluster.global.add.u32 [%rd1], %r1;",
            "line 6: instruction not supported: opcode=red.async.relaxed.cluster.global.add.u32, asynchronous stores are not modelled",
        ),
        (
            "tex.2d.v4.f32.f32 {%f1,%f2,%f3,%f4}, [%rd1, {%f1,%f2}];",
            "line 6: instruction not supported: opcode=tex.2d.v4.f32.f32, textures are not modelled",
        ),
        (
            "tld4.r.2d.v4.f32.f32 {%f1,%f2,%f3,%f4}, [%rd1, {%f1,%f2}];",
            "line 6: instruction not supported: opcode=tld4.r.2d.v4.f32.f32, textures are not modelled",
        ),
        (
            "txq.width.b32 %r1, [%rd1];",
            "line 6: instruction not supported: opcode=txq.width.b32, textures are not modelled",
        ),
        (
            "suld.b.1d.b32.trap {%r1}, [%rd1, {%r2}];",
            "line 6: instruction not supported: opcode=suld.b.1d.b32.trap, surfaces are not modelled",
        ),
        (
            "sust.b.1d.b32.trap [%rd1, {%r2}], {%r1};",
            "line 6: instruction not supported: opcode=sust.b.1d.b32.trap, surfaces are not modelled",
        ),
        (
            "sured.b.add.1d.u32.trap [%rd1, {%r2}], %r1;",
            "line 6: instruction not supported: opcode=sured.b.add.1d.u32.trap, surfaces are not modelled",
        ),
        (
            "barrier.cluster.arrive;",
            "line 6: instruction not supported: opcode=barrier.cluster.arrive, clusters of blocks are not modelled",
        ),
        (
            "mapa.u64 %rd1, %rd2, 1;",
            "line 6: instruction not supported: opcode=mapa.u64, clusters of blocks are not modelled",
        ),
        (
            "getctarank.u64 %r1, %rd1;",
            "line 6: instruction not supported: opcode=getctarank.u64, clusters of blocks are not modelled",
        ),
        (
            "ld.shared::cluster.u32 %r1, [%r2];",
            "line 6: instruction not supported: opcode=ld.shared::cluster.u32, clusters of blocks are not modelled",
        ),
        (
            "multimem.red.global.add.u32 [%rd1], %r1;",
            "line 6: instruction not supported: opcode=multimem.red.global.add.u32, tensor and multicast memory is not modelled",
        ),
        (
            "tensormap.replace.tile.rank.global.b1024.b32 [%rd1], 1;",
            "line 6: instruction not supported: opcode=tensormap.replace.tile.rank.global.b1024.b32, tensor and multicast memory is not modelled",
        ),
        (
            "alloca.u64 %rd1, 16;",
            "line 6: instruction not supported: opcode=alloca.u64, local memory of a size known only at run time is not modelled",
        ),
        (
            "stacksave.u64 %rd1;",
            "line 6: instruction not supported: opcode=stacksave.u64, local memory of a size known only at run time is not modelled",
        ),
        (
            "setmaxnreg.inc.sync.aligned.u32 64;",
            "line 6: instruction not supported: opcode=setmaxnreg.inc.sync.aligned.u32, registers that move between warps are not modelled",
        ),
        (
            "mov.b128 %rd1, {%rd1, %rd2};",
            "line 6: instruction not supported: opcode=mov.b128, registers of 128 bits are not modelled",
        ),
        (
            "ld.global.b128 %rd1, [%rd1];",
            "line 6: instruction not supported: opcode=ld.global.b128, registers of 128 bits are not modelled",
        ),
        (
            "atom.global.v2.f32.add {%f1,%f2}, [%rd1], {%f1,%f2};",
            "line 6: instruction not supported: opcode=atom.global.v2.f32.add, unknown type",
        ),
        (
            "atom.global.add.s64 %rd1, [%rd1], %rd2;",
            "line 6: instruction not supported: opcode=atom.global.add.s64, no such atomic operation on this type",
        ),
        (
            "atom.global.and.f32 %f1, [%rd1], %f2;",
            "line 6: instruction not supported: opcode=atom.global.and.f32, no such atomic operation on this type",
        ),
        (
            "atom.global.u32 %r1, [%rd1], %r2;",
            "line 6: instruction not supported: opcode=atom.global.u32, no operation",
        ),
        (
            "atom.local.add.u32 %r1, [%rd1], %r2;",
            "line 6: instruction not supported: opcode=atom.local.add.u32, unknown modifier",
        ),
        (
            "redux.sync.min.f32 %f1, %f2, -1;",
            "line 6: instruction not supported: opcode=redux.sync.min.f32, no such reduction of a warp",
        ),
        (
            "shfl.sync.idx.b64 %rd1, %rd2, 0, 31, -1;",
            "line 6: instruction not supported: opcode=shfl.sync.idx.b64, unknown form",
        ),
        (
            "bar.red.xor.pred %p1, 0, %p2;",
            "line 6: instruction not supported: opcode=bar.red.xor.pred, unknown reduction",
        ),
        (
            "cvta.global.u32 %r1, %r2;",
            "line 6: instruction not supported: opcode=cvta.global.u32, only 64-bit addresses are supported",
        ),
        (
            "st.const.u32 [%rd1], %r1;",
            "line 6: instruction not supported: opcode=st.const.u32, constant memory can't be written",
        ),
        (
            "st.param.u32 [n], %r1;",
            "line 6: instruction not supported: opcode=st.param.u32, parameters of a kernel can't be written",
        ),
        (
            "ld.global.v8.u64 {%rd1}, [%rd1];",
            "line 6: instruction not supported: opcode=ld.global.v8.u64, vectors have at most 256 bits",
        ),
        (
            "ld.global.pred %p1, [%rd1];",
            "line 6: instruction not supported: opcode=ld.global.pred, unknown type",
        ),
        ("ld.global %r1, [%rd1];", "line 6: instruction not supported: opcode=ld.global, unknown type"),
        ("ld;", "line 6: instruction not supported: opcode=ld, no type"),
        (
            "ld.fast.u32 %r1, [%rd1];",
            "line 6: instruction not supported: opcode=ld.fast.u32, unknown modifier",
        ),
        (
            "mov.v4.u32 {%r1,%r2,%r3,%r4}, %tid;",
            "line 6: instruction not supported: opcode=mov.v4.u32, vectors are moved element by element",
        ),
        ("mov.u99 %r1, %r2;", "line 6: instruction not supported: opcode=mov.u99, unknown type"),
        (
            "frobnicate.u32 %r1, %r2;",
            "line 6: instruction not supported: opcode=frobnicate.u32, unknown opcode",
        ),
        ("bra.often L;", "line 6: instruction not supported: opcode=bra.often, unknown modifier"),
        ("call.often k;", "line 6: instruction not supported: opcode=call.often, unknown modifier"),
        ("call k, (a, n);", "line 6: instruction not supported: opcode=call, a kernel can't be called"),
        ("mov.u64 %rd1, k;", "line 6: instruction not supported: opcode=mov.u64, a kernel has no address"),
        ("fence.sometimes;", "line 6: instruction not supported: opcode=fence.sometimes, unknown modifier"),
        (
            "vote.sync.most.pred %p1, %p2, -1;",
            "line 6: instruction not supported: opcode=vote.sync.most.pred, unknown form",
        ),
        (
            "set.lt.and.f16x2.f16x2 %r1, %r2, %r3, %p1;",
            "line 6: instruction not supported: opcode=set.lt.and.f16x2.f16x2, a result of this type can't be combined with a predicate",
        ),
    ];
    check(&cases, kernel);
    for (body, expected) in cases {
        let uncalled = format!("{HEADER}.func f(.param .u64 a, .param .u32 n) {{\n\n{body}\n}}")
            .replace("k, (a, n)", "f");
        if expected.contains("not modelled") {
            assert_eq!(error(uncalled.as_bytes()), expected, "in a function that nobody calls");
        }
    }
}

#[test]
fn directives_and_properties_that_are_not_known_are_refused() {
    check(
        &[
            (".tex .u64 t;", "line 4: not supported: directive, found=tex"),
            (".global .texref t;", "line 4: not supported: type or property of a variable, found=texref"),
            (".global .b128 x;", "line 4: not supported: type or property of a variable, found=b128"),
            (".global .pred x;", "line 4: not supported: predicate outside of a register, found=pred"),
            (".reg .b32 x;", "line 4: not supported: directive, found=reg"),
            (".local .b32 x;", "line 4: not supported: directive, found=local"),
            (".param .b32 x;", "line 4: not supported: directive, found=param"),
            (
                ".entry k() .reqnctapercluster 2 { ret; }",
                "line 4: not supported: directive of a function, found=reqnctapercluster",
            ),
            (
                ".entry k(.reg .u32 x) { ret; }",
                "line 4: not supported: parameter of a kernel in a register, found=x",
            ),
            (".func f(.reg .pred x) { ret; }", "line 4: not supported: parameter, found=x"),
            (
                &format!(
                    ".func ({}) f() {{ ret; }}",
                    (0..17).map(|i| format!(".reg .b32 r{i}")).collect::<Vec<_>>().join(", ")
                ),
                "line 4: too much: results of a function in registers, limit=16, found=17",
            ),
            (
                ".func f(.param .b8 x[]) { ret; }",
                "line 4: not supported: parameter of open-ended size, found=x",
            ),
            (
                ".func f(.global .b8 x) { ret; }",
                "line 4: expected a parameter in `.param` or `.reg`, found=x",
            ),
            (".shared .b8 x[];", "line 4: not supported: open-ended array that is not `.extern`, found=x"),
            (".shared .b8 x[4] = {1};", "line 4: not supported: initialiser in this state space, found=x"),
            (
                ".extern .global .b8 x[4] = {1};",
                "line 4: not supported: initialiser in this state space, found=x",
            ),
            (".global .b8 x[];", "line 4: not supported: array without a size, found=x"),
            (".global .b8 x[][];", "line 4: not supported: open-ended array of arrays, found=x"),
            (".global .align 3 .b8 x;", "line 4: not supported: alignment that is no power of two, found=3"),
            (".global .f32 x = 1;", "line 4: not supported: initialiser of this type, found=1"),
            (
                ".global .u32 x = 1.5;",
                "line 4: not supported: initialiser of this type, found=0d3FF8000000000000",
            ),
            (".global .u32 x = {1};", "line 4: not supported: list for a single element, found=x"),
            (".global .u32 x[2] = 1;", "line 4: not supported: initialiser of an array, found=x"),
            (".global .u32 x[2] = {1, 2, 3};", "line 4: too much: elements of an array, limit=2, found=3"),
            (".global .u32 x[2][2] = {1, 2};", "line 4: not supported: initialiser of an array, found=x"),
            (
                ".global .u32 y;\n.global .u32 x = y;",
                "line 5: not supported: address in an element that is not of 64 bits, found=y",
            ),
            (
                ".global .u32 y;\n.global .b8 x[8] = {0xFF(y), 0xFF00(y)};",
                "line 5: not supported: part of an address as initialiser, found=(",
            ),
            (
                ".shared .u32 y;\n.global .u64 x = y;",
                "line 5: not supported: address of this as initialiser, found=y",
            ),
            (
                ".entry k() { ret; }\n.global .u64 x = k;",
                "line 5: not supported: address of a kernel, found=k",
            ),
            (
                ".entry k() { .reg .v4 .b32 %v<4>; }",
                "line 4: not supported: numbered vectors of registers, found=%v",
            ),
            (".entry k() { .reg .b32 %v[4]; }", "line 4: not supported: array of registers, found=%v"),
            (".entry k() { .extern .shared .b8 x[]; }", "line 4: not supported: directive, found=extern"),
        ],
        |body| format!("{HEADER}{body}"),
    );
}

#[test]
fn sizes_are_limited_before_anything_is_allocated() {
    check(
        &[
            (".reg .b32 %x<4000000000>;", "line 6: too much: registers, limit=16777216, found=4000000000"),
            (
                ".reg .b32 %x<99999999999999999999>;",
                "line 6: expected an integer of at most 64 bits, found=99999999999999999999",
            ),
            (
                ".local .b8 x[1 << 40];",
                "line 6: too much: bytes of a variable, limit=524288, found=1099511627776",
            ),
            (
                ".local .b8 x[400000]; .local .b8 y[400000];",
                "line 6: too much: bytes of local memory, limit=524288, found=800000",
            ),
            (
                ".shared .b8 x[200000]; .shared .b8 y[200000]; st.shared.u8 [x], 1; st.shared.u8 [y], 1;",
                "line 6: too much: bytes of static shared memory, limit=232448, found=400000",
            ),
            (".shared .b8 x[200000]; .shared .b8 y[200000]; st.shared.u8 [x], 1;", "accepted"),
            (
                ".shared .b8 x[1 << 60];",
                "line 6: too much: bytes of a variable, limit=232448, found=1152921504606846976",
            ),
            (
                ".local .align 1048576 .b8 x;",
                "line 6: too much: bytes of alignment, limit=65536, found=1048576",
            ),
        ],
        kernel,
    );
    check(
        &[
            (
                ".global .b8 a[1 << 60];",
                "line 4: too much: bytes of a variable, limit=1099511627776, found=1152921504606846976",
            ),
            (
                ".global .u64 a[1 << 62];",
                "line 4: too much: bytes of a variable, limit=1099511627776, found=18446744073709551615",
            ),
            (
                ".global .b8 a[1 << 32][1 << 32];",
                "line 4: too much: bytes of a variable, limit=1099511627776, found=18446744073709551615",
            ),
            (
                ".global .b8 a[1 << 39]; .global .b8 b[1 << 39]; .global .b8 c;",
                "line 4: too much: bytes of variables, limit=1099511627776, found=1099511627777",
            ),
            (
                ".global .b8 a[1 << 19][1 << 20] = {{1}, {1}};",
                "line 4: too much: bytes set by initialisers, limit=66248, found=1048577",
            ),
            (
                ".entry k(.param .b8 a[32765]) { ret; }",
                "line 4: too much: bytes of parameters, limit=32764, found=32765",
            ),
            (
                ".entry k(.param .b8 a[20000], .param .b8 b[20000]) { ret; }",
                "line 4: too much: bytes of parameters, limit=32764, found=40000",
            ),
            (
                ".func f(.param .b8 a[1 << 30]) { ret; }",
                "line 4: too much: bytes of a variable, limit=524288, found=1073741824",
            ),
            (
                ".entry k() .maxntid 4294967296 { ret; }",
                "line 4: too much: threads along an axis, limit=4294967295, found=4294967296",
            ),
        ],
        |body| format!("{HEADER}{body}"),
    );
}

#[test]
fn nesting_is_limited() {
    let deep = 100_000;
    let all_strengths = "1||1&&1|1^1&1==1<1<<1+1*(";
    check(
        &[
            (
                &format!("mov.u32 %r1, {}1;", all_strengths.repeat(deep)),
                "line 6: too much: nesting, limit=64, found=65",
            ),
            (&format!("{} ret; {}", "{".repeat(62), "}".repeat(62)), "accepted"),
            (&format!("mov.u32 %r1, {}1{};", all_strengths.repeat(5), ")".repeat(5)), "accepted"),
            (&"{".repeat(deep), "line 6: too much: nesting, limit=64, found=65"),
            (
                &format!("mov.u32 %r1, {}1;", "(".repeat(deep)),
                "line 6: too much: nesting, limit=64, found=65",
            ),
            (
                &format!("mov.u32 %r1, {}1;", "-".repeat(deep)),
                "line 6: too much: nesting, limit=64, found=65",
            ),
            (
                &format!("mov.u32 %r1, {}1;", "!".repeat(deep)),
                "line 6: too much: nesting, limit=64, found=65",
            ),
            (
                &format!("mov.u32 %r1, {}1;", "1 ? ".repeat(deep)),
                "line 6: too much: nesting, limit=64, found=65",
            ),
            (
                &format!("mov.u32 %r1, {}1;", "1 ? 1 : ".repeat(deep)),
                "line 6: too much: nesting, limit=64, found=65",
            ),
            (
                &format!("mov.u32 %r1, {}1;", "(.s64)".repeat(deep)),
                "line 6: too much: nesting, limit=64, found=65",
            ),
            (&format!("mov.b32 %r1, {};", "{".repeat(deep)), "line 6: too much: nesting, limit=64, found=65"),
            (&format!("mov.u32 %r1, 1{};", "+1".repeat(deep)), "accepted"),
        ],
        kernel,
    );
    let list = format!("{HEADER}.global .b8 x[4] = {}", "{".repeat(deep));
    assert_eq!(error(list.as_bytes()), "line 4: too much: nesting, limit=64, found=65");
}

#[test]
fn only_registers_that_are_used_count() {
    let declared = kernel(".reg .b32 %x<16000000>; mov.u32 %x15999999, 1; mov.u32 %r1, %x15999999;");
    assert_eq!(error(declared.as_bytes()), "accepted");
    let many: String = (0..70_000).map(|i| format!("mov.u32 %x{i}, %r1;\n")).collect();
    assert_eq!(
        error(kernel(&format!(".reg .b32 %x<70000>;\n{many}")).as_bytes()),
        "line 65541: too much: registers of 32 bits or less in a function, limit=65535, found=65536"
    );
}
