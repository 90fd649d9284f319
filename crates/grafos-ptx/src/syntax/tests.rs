//! Tests of the lexer and the parser.

use super::ast::{Immediate, Module, Operand, Statement};
use super::lexer::{Kind, Lexer};
use super::parse;

fn tokens(source: &str) -> Vec<(Kind, &str, u32)> {
    let mut lexer = Lexer::new(source);
    let mut tokens = Vec::new();
    loop {
        let token = lexer.next().expect("tokens");
        if token.kind == Kind::End {
            return tokens;
        }
        tokens.push((token.kind, token.text, token.line));
    }
}

#[test]
fn tokens_are_cut_where_the_language_cuts_them() {
    let found =
        tokens("ld.L2::128B.u32 %r1,[%rd1+-4]; // c\n$L__BB0: /* a\nb */ .5x 1.5e-3+0x1e-3 \"a;b\" <<|");
    let expected = [
        (Kind::Word, "ld", 1),
        (Kind::Dot, "L2::128B", 1),
        (Kind::Dot, "u32", 1),
        (Kind::Word, "%r1", 1),
        (Kind::Mark, ",", 1),
        (Kind::Mark, "[", 1),
        (Kind::Word, "%rd1", 1),
        (Kind::Mark, "+", 1),
        (Kind::Mark, "-", 1),
        (Kind::Number, "4", 1),
        (Kind::Mark, "]", 1),
        (Kind::Mark, ";", 1),
        (Kind::Word, "$L__BB0", 2),
        (Kind::Mark, ":", 2),
        (Kind::Dot, "5x", 3),
        (Kind::Number, "1.5e-3", 3),
        (Kind::Mark, "+", 3),
        (Kind::Number, "0x1e", 3),
        (Kind::Mark, "-", 3),
        (Kind::Number, "3", 3),
        (Kind::Text, "a;b", 3),
        (Kind::Mark, "<<", 3),
        (Kind::Mark, "|", 3),
    ];
    assert_eq!(found, expected);
}

fn with_body<T>(body: &str, then: impl FnOnce(&[Statement<'_>]) -> T) -> T {
    let source = format!(".version 7.0\n.target sm_70\n.address_size 64\n.entry k() {{\n{body}\n}}");
    let module: Module<'_> = parse(&source).expect("a module");
    then(module.functions[0].body.as_deref().expect("a body"))
}

fn operands(text: &str) -> String {
    with_body(&format!("op {text};"), |body| match body {
        [Statement::Instruction(instruction)] => format!("{:?}", instruction.operands),
        other => panic!("{other:?}"),
    })
}

fn constant(text: &str) -> Immediate {
    with_body(&format!("op {text};"), |body| match body {
        [Statement::Instruction(instruction)] => match instruction.operands.as_slice() {
            [Operand::Immediate(value)] => *value,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    })
}

fn integer(text: &str) -> i64 {
    match constant(text) {
        Immediate::Int { bits, .. } => bits.cast_signed(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn constants_are_what_they_say() {
    assert_eq!(integer("17"), 17);
    assert_eq!(integer("017"), 15);
    assert_eq!(integer("0x17"), 23);
    assert_eq!(integer("0b101"), 5);
    assert_eq!(integer("0"), 0);
    assert_eq!(constant("0U"), Immediate::Int { bits: 0, unsigned: true });
    assert_eq!(constant("18446744073709551615"), Immediate::Int { bits: u64::MAX, unsigned: true });
    assert_eq!(constant("0f3F800000"), Immediate::F32(0x3f80_0000));
    assert_eq!(constant("-0f3F800000"), Immediate::F32(0xbf80_0000));
    assert_eq!(constant("0d4000000000000000"), Immediate::F64(2.0_f64.to_bits()));
    assert_eq!(constant("-1.5e1"), Immediate::F64((-15.0_f64).to_bits()));
    assert_eq!(integer("WARP_SZ"), 32);
}

#[test]
fn operators_bind_as_in_c() {
    assert_eq!(integer("1 + 2 * 3"), 7);
    assert_eq!(integer("(1 + 2) * 3"), 9);
    assert_eq!(integer("10 - 2 - 3"), 5);
    assert_eq!(integer("1 << 2 + 1"), 8);
    assert_eq!(integer("1 | 6 & 3 ^ 8"), 1 | ((6 & 3) ^ 8));
    assert_eq!(integer("1 < 2 == 1"), 1);
    assert_eq!(integer("0 || 2 && 0"), 0);
    assert_eq!(integer("!5 + ~0"), -1);
    assert_eq!(integer("-7 / 2"), -3);
    assert_eq!(integer("-7 % 3"), -1);
    assert_eq!(integer("-1 >> 70"), -1);
    assert_eq!(integer("1 << 64"), 0);
    assert_eq!(integer("0 ? 1 : 0 ? 2 : 3"), 3);
}

#[test]
fn an_unsigned_operand_makes_an_operation_unsigned() {
    assert_eq!(integer("-1 < 1"), 1);
    assert_eq!(integer("-1 < 1U"), 0);
    assert_eq!(integer("(.u64) -1 / 2"), i64::MAX);
    assert_eq!(integer("(.u64) -1 >> 63"), 1);
    assert_eq!(integer("(.s64) 18446744073709551615 < 0"), 1);
}

#[test]
fn operands_are_told_apart() {
    assert_eq!(operands("a, _, v.x"), "[Name(\"a\"), Sink, Component(\"v\", \"x\")]");
    assert_eq!(operands("p|q, _|q, !p"), "[Pair(\"p\", \"q\"), Pair(\"_\", \"q\"), Negated(\"p\")]");
    assert_eq!(operands("a+4, a-4"), "[NameOffset(\"a\", 4), NameOffset(\"a\", -4)]");
    assert_eq!(operands("[a]"), "[Address { base: Some(\"a\"), offset: 0 }]");
    assert_eq!(operands("[a+-8]"), "[Address { base: Some(\"a\"), offset: -8 }]");
    assert_eq!(operands("[a-8+2]"), "[Address { base: Some(\"a\"), offset: -6 }]");
    assert_eq!(operands("[64]"), "[Address { base: None, offset: 64 }]");
    assert_eq!(operands("{a, _}"), "[Vector([Name(\"a\"), Sink])]");
    assert_eq!(operands("!0"), "[Immediate(Int { bits: 1, unsigned: false })]");
}

#[test]
fn statements_know_their_lines() {
    with_body("{ L:\n@!p mov.u32 a,\n b;\n\n.reg .b32 x, y;\n} ret;", |body| {
        let [Statement::Block(inner), Statement::Instruction(ret)] = body else { panic!("{body:?}") };
        let [Statement::Label { line: 5, name: "L" }, Statement::Instruction(mov), rest @ ..] =
            inner.as_slice()
        else {
            panic!("{inner:?}")
        };
        assert_eq!(
            (mov.line, mov.opcode, mov.modifiers.as_slice(), mov.text),
            (6, "mov", &["u32"][..], "mov.u32")
        );
        assert!(mov.guard.is_some_and(|guard| guard.negated && guard.pred == "p"));
        assert!(
            matches!(rest, [Statement::Declare(x), Statement::Declare(y)] if x.line == 9 && y.name == "y")
        );
        assert_eq!(ret.line, 10);
    });
}

#[test]
fn what_an_error_repeats_is_short() {
    let long = "x".repeat(10_000);
    let error =
        parse(&format!(".version 7.0\n.target sm_70\n.address_size 64\n.{long}")).expect_err("no directive");
    assert!(error.to_string().len() < 200, "{error}");
}
