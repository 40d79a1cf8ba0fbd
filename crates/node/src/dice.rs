//! The only randomness: draws that are keyed by an address, not taken from a stream.

/// Mixes two words into one that depends on every bit of both (the finaliser of SplitMix64,
/// Steele, Lea and Flood 2014, over a keyed sum).
#[inline]
pub const fn mix(key: u64, address: u64) -> u64 {
    let mut x = key ^ address.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31);
    x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Draws of one handler call: keyed by the run, the node and what caused the call, so that what
/// other causes draw never changes them.
#[derive(Clone, Debug)]
pub struct Dice {
    key: u64,
    drawn: u64,
}

impl Dice {
    /// Dice with a key of their own.
    pub const fn new(key: u64) -> Self {
        Self { key, drawn: 0 }
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.drawn += 1;
        mix(self.key, self.drawn)
    }

    /// A number below `bound`; 0 when `bound` is 0. The bias is below 2⁻³² for bounds below 2³².
    pub fn below(&mut self, bound: u64) -> u64 {
        let wide = u128::from(self.bits()) * u128::from(bound);
        (wide >> 64) as u64
    }

    /// Whether an event of this many per mille happens.
    pub fn per_mille(&mut self, chance: u16) -> bool {
        self.below(1000) < u64::from(chance)
    }
}
