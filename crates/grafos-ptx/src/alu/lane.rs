//! [`Lane`]: values as they lie in a register; [`op!`], which turns an expression over values into a function over all
//! lanes of a warp, and [`int_op!`], which does so for every integer type.

#![allow(clippy::cast_possible_truncation, reason = "bits above the type are to be ignored")]

use super::Selected;
use crate::types::Type;

/// A value as it lies in one lane of a register.
pub(super) trait Lane: Copy {
    /// `u32` or `u64`.
    type Register: Copy;
    const TYPE: Type;

    /// Ignores the bits above the type.
    fn of(register: Self::Register) -> Self;
    /// Zero-extended.
    fn register(self) -> Self::Register;
}

macro_rules! impl_lane {
    ($($value:ty, $unsigned:ty, $register:ty, $ty:ident;)+) => {$(
        impl Lane for $value {
            type Register = $register;
            const TYPE: Type = Type::$ty;

            #[inline(always)]
            fn of(register: $register) -> Self {
                register as $value
            }

            #[inline(always)]
            fn register(self) -> $register {
                <$register>::from(self as $unsigned)
            }
        }
    )+};
}

impl_lane! {
    u8, u8, u32, U8;
    i8, u8, u32, S8;
    u16, u16, u32, U16;
    i16, u16, u32, S16;
    u32, u32, u32, U32;
    i32, u32, u32, S32;
    u64, u64, u64, U64;
    i64, u64, u64, S64;
}

/// The one NaN that `f32` operations give.
pub(super) const NAN_F32: u32 = 0x7fff_ffff;

/// A NaN becomes the one that devices give; what must keep its bits is handled as `u32`.
impl Lane for f32 {
    type Register = u32;
    const TYPE: Type = Type::F32;

    #[inline(always)]
    fn of(register: u32) -> Self {
        Self::from_bits(register)
    }

    #[inline(always)]
    fn register(self) -> u32 {
        if self.is_nan() { NAN_F32 } else { self.to_bits() }
    }
}

/// NaNs keep their bits: who computes one chooses them (see `float::nan2`).
impl Lane for f64 {
    type Register = u64;
    const TYPE: Type = Type::F64;

    #[inline(always)]
    fn of(register: u64) -> Self {
        Self::from_bits(register)
    }

    #[inline(always)]
    fn register(self) -> u64 {
        self.to_bits()
    }
}

impl Selected {
    /// The same for operands that are plain bits.
    pub(super) fn of_bits(self) -> Self {
        self.retyped(|ty| match ty.bits() {
            8 => Type::B8,
            16 => Type::B16,
            32 => Type::B32,
            64 => Type::B64,
            _ => ty,
        })
    }

    /// The same under the name of another type of that many bits.
    pub(super) fn of_type(self, new: Type) -> Self {
        self.retyped(|ty| if ty.bits() == new.bits() { new } else { ty })
    }

    fn retyped(mut self, rename: impl Fn(Type) -> Type) -> Self {
        self.dest = rename(self.dest);
        for ty in &mut self.sources {
            *ty = rename(*ty);
        }
        self
    }
}

/// `op!(Binary32(a: u16, b: u16) -> u16 { a.wrapping_add(b) })`: a [`Selected`] of that shape.
macro_rules! op {
    ($shape:ident($($x:ident: $source:ty),+) -> $dest:ty { $body:expr }) => {
        $crate::alu::Selected {
            compute: $crate::compute::Compute::$shape(|dest, $($x),+| {
                for lane in 0..$crate::compute::LANES {
                    $(let $x = <$source as $crate::alu::lane::Lane>::of($x[lane]);)+
                    let result: $dest = $body;
                    dest[lane] = $crate::alu::lane::Lane::register(result);
                }
            }),
            dest: <$dest as $crate::alu::lane::Lane>::TYPE,
            sources: vec![$(<$source as $crate::alu::lane::Lane>::TYPE),+],
        }
    };
}

/// `int_op!(ty; Binary32, Binary64; (a, b) => T { … })`: [`op!`] for the integer type that is named, which is `T`
/// inside; `W` is the type of twice its width. Returns from the function for any other type.
macro_rules! int_op {
    ($ty:expr; $narrow:ident, $wide:ident; $args:tt => $dest:ident $body:tt) => {
        match $ty {
            "u16" => int_op!(@ $narrow, u16, u32, $args, $dest, $body),
            "s16" => int_op!(@ $narrow, i16, i32, $args, $dest, $body),
            "u32" => int_op!(@ $narrow, u32, u64, $args, $dest, $body),
            "s32" => int_op!(@ $narrow, i32, i64, $args, $dest, $body),
            "u64" => int_op!(@ $wide, u64, u128, $args, $dest, $body),
            "s64" => int_op!(@ $wide, i64, i128, $args, $dest, $body),
            _ => return $crate::alu::form::Form::wrong_type(),
        }
    };
    (@ $shape:ident, $value:ty, $double:ty, ($($x:ident),+), $dest:ident, $body:tt) => {{
        #[allow(dead_code, reason = "not every operation needs both")]
        type T = $value;
        #[allow(dead_code, reason = "not every operation needs both")]
        type W = $double;
        op!($shape($($x: T),+) -> $dest $body)
    }};
}

pub(super) use {int_op, op};
