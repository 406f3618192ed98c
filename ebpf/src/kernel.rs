//! For the programs alone: typed loads at offsets that the loader has filled in.
//!
//! The pointers come from a BTF-typed context. An offset read from frozen `.rodata` is a constant
//! for the verifier, so `pointer + offset` keeps its kernel type and a plain load is checked
//! against that type: a wrong offset is refused at load time instead of giving a wrong number.
//! Never widen a load beyond its member, and never do arithmetic on the pointers but this.

use aya_ebpf::Global;

/// An offset in bytes, or a flag, that the loader overrides.
pub type Setting = Global<u64>;

/// Loads the member at `offset` of the kernel structure at `base`.
///
/// # Safety
///
/// `base` must be a pointer that the verifier knows by its BTF type; `T` must have the member's
/// width.
#[inline(always)]
pub unsafe fn load<T: Copy>(base: *const u8, offset: u64) -> T {
    // SAFETY: the verifier has checked base, offset and width; a fault reads as zero.
    unsafe { core::ptr::read_volatile(base.add(offset as usize).cast::<T>()) }
}

/// Hides where a value comes from, so that the compiler keeps a bound check which it could prove
/// needless and the verifier cannot.
#[inline(always)]
pub fn opaque(value: usize) -> usize {
    // SAFETY: a volatile read of a live local.
    unsafe { core::ptr::read_volatile(&value) }
}
