//! Configurations of the just-in-time search, and sets of them in which none is better than
//! another.

use super::used::Used;
use rustc_hash::{FxHashMap, FxHasher};
use std::hash::{Hash, Hasher};

/// What an object can have come to, as far as the future can tell: a state, and what has been
/// done of the operations that are still open.
#[derive(Clone, Debug)]
pub(super) struct Config<S> {
    /// The open operations that took effect.
    pub taken: u128,
    /// The open operations that may count as done without a change of anything: an observer that
    /// was satisfied, a write that another one has overwritten at once. They may also take effect
    /// later.
    pub free: u128,
    /// Which operations of unknown outcome took effect, as a number of [`Used`].
    pub used: u32,
    /// How this came about, as a node of the lineage.
    pub past: u32,
    pub state: S,
}

/// [`Config::used`] of a configuration that a better one has replaced.
pub(super) const DEAD: u32 = u32::MAX;

impl<S: Eq> Config<S> {
    /// Whether whatever can still come of `other` can come of this as well.
    pub fn covers(&self, other: &Self, used: &Used) -> bool {
        (self.taken ^ other.taken) & !self.free == 0
            && other.free & !self.free == 0
            && self.state == other.state
            && used.is_subset(self.used, other.used)
    }
}

/// How many configurations are compared one by one before an index by state pays.
const FEW: usize = 12;

const NONE: u32 = u32::MAX;

/// Configurations of which none covers another, in the order of their insertion.
#[derive(Clone, Debug)]
pub(super) struct Configs<S> {
    pub list: Vec<Config<S>>,
    /// For each of `list` the one before it of the same hash, once there is an index.
    chain: Vec<u32>,
    index: FxHashMap<u64, u32>,
    /// How many configurations may differ in nothing but the operations of unknown outcome that
    /// they used. Of more, those that used most are left out, and the set is `lossy`.
    pub variants: usize,
    /// The open operations that can be free.
    pub optional: u128,
    pub lossy: bool,
}

impl<S> Default for Configs<S> {
    fn default() -> Self {
        let (list, chain, index) = (Vec::new(), Vec::new(), FxHashMap::default());
        Self { list, chain, index, variants: usize::MAX, optional: 0, lossy: false }
    }
}

impl<S: Eq + Hash + Clone> Configs<S> {
    pub fn clear(&mut self) {
        self.list.clear();
        self.chain.clear();
        self.index.clear();
    }

    /// Puts a configuration in, unless one that covers it is there, and takes those out that it
    /// covers. Whether it is new.
    pub fn insert(&mut self, config: Config<S>, used: &Used) -> bool {
        let mut seen = Variants::default();
        if self.list.len() < FEW {
            for at in 0..self.list.len() {
                if !self.compare(at, &config, used, &mut seen) {
                    return false;
                }
            }
        } else {
            if self.chain.is_empty() {
                for at in 0..self.list.len() {
                    self.chain.push(NONE);
                    self.link(at);
                }
            }
            let mut at = self.index.get(&self.hash(&config)).copied().unwrap_or(NONE);
            while at != NONE {
                if !self.compare(at as usize, &config, used, &mut seen) {
                    return false;
                }
                at = self.chain[at as usize];
            }
        }
        if seen.count >= self.variants {
            self.lossy = true;
            if seen.most <= used.total(config.used) {
                return false;
            }
            self.list[seen.greediest].used = DEAD;
        }
        self.list.push(config);
        if !self.chain.is_empty() {
            self.chain.push(NONE);
            self.link(self.list.len() - 1);
        }
        true
    }

    /// Whether `config` has a place beside the one at `at`, which is dead if `config` covers it.
    fn compare(&mut self, at: usize, config: &Config<S>, used: &Used, seen: &mut Variants) -> bool {
        let other = &mut self.list[at];
        if other.used == DEAD {
            return true;
        }
        if other.covers(config, used) {
            return false;
        }
        if config.covers(other, used) {
            other.used = DEAD;
        } else if config.used != other.used
            && config.taken == other.taken
            && config.free == other.free
            && config.state == other.state
        {
            let total = used.total(other.used);
            seen.count += 1;
            if total >= seen.most {
                (seen.greediest, seen.most) = (at, total);
            }
        }
        true
    }

    /// The same for two of which one covers the other.
    fn hash(&self, config: &Config<S>) -> u64 {
        let mut hasher = FxHasher::default();
        (config.taken & !self.optional).hash(&mut hasher);
        config.state.hash(&mut hasher);
        hasher.finish()
    }

    fn link(&mut self, at: usize) {
        let before = self.index.insert(self.hash(&self.list[at]), at as u32);
        self.chain[at] = before.unwrap_or(NONE);
    }
}

/// What differs from a configuration in nothing but what was used.
#[derive(Default)]
struct Variants {
    count: usize,
    greediest: usize,
    /// How much the greediest has used.
    most: u32,
}
