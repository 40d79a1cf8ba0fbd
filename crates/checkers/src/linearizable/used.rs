//! Which operations of unknown outcome have taken effect: multisets of their groups, each kept
//! once and known by a number.

use rustc_hash::FxHashMap;

/// A multiset: groups in ascending order, each with how many of it.
type Counts = Box<[(u32, u32)]>;

/// Multisets by number; the empty one is 0.
#[derive(Clone, Debug)]
pub(super) struct Used {
    sets: Vec<Counts>,
    totals: Vec<u32>,
    numbers: FxHashMap<Counts, u32>,
    /// What [`Used::with`] gave.
    with: FxHashMap<(u32, u32), u32>,
}

impl Used {
    pub fn new() -> Self {
        let empty = Counts::default();
        let numbers = FxHashMap::from_iter([(empty.clone(), 0)]);
        Self { sets: vec![empty], totals: vec![0], numbers, with: FxHashMap::default() }
    }

    /// How many multisets there are.
    pub fn len(&self) -> usize {
        self.sets.len()
    }

    /// How many there are in `set`.
    pub fn total(&self, set: u32) -> u32 {
        self.totals[set as usize]
    }

    /// How many of `group` are in `set`.
    pub fn count(&self, set: u32, group: u32) -> u32 {
        let counts = &self.sets[set as usize];
        counts.binary_search_by_key(&group, |(group, _)| *group).map_or(0, |at| counts[at].1)
    }

    /// The set with one more of `group`.
    pub fn with(&mut self, set: u32, group: u32) -> u32 {
        if let Some(number) = self.with.get(&(set, group)) {
            return *number;
        }
        let mut counts = self.sets[set as usize].to_vec();
        match counts.binary_search_by_key(&group, |(group, _)| *group) {
            Ok(at) => counts[at].1 += 1,
            Err(at) => counts.insert(at, (group, 1)),
        }
        let number = self.number(counts.into_boxed_slice());
        self.with.insert((set, group), number);
        number
    }

    fn number(&mut self, counts: Counts) -> u32 {
        if let Some(number) = self.numbers.get(&counts) {
            return *number;
        }
        let number = self.sets.len() as u32;
        self.totals.push(counts.iter().map(|(_, count)| count).sum());
        self.sets.push(counts.clone());
        self.numbers.insert(counts, number);
        number
    }

    /// Whether `b` has at least as many of each group as `a`.
    pub fn is_subset(&self, a: u32, b: u32) -> bool {
        if a == b || a == 0 {
            return true;
        }
        let (a, b) = (&self.sets[a as usize], &self.sets[b as usize]);
        if a.len() > b.len() {
            return false;
        }
        let mut rest = b.iter();
        a.iter().all(|(group, count)| {
            rest.find(|(other, _)| other >= group)
                .is_some_and(|(other, most)| other == group && count <= most)
        })
    }

    /// Forgets all sets but those of the numbers given, which become the new ones.
    pub fn keep<'a>(&mut self, numbers: impl Iterator<Item = &'a mut u32>) {
        let old = std::mem::replace(self, Self::new());
        for number in numbers {
            *number = self.number(old.sets[*number as usize].clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_told_apart_and_compared() {
        let mut used = Used::new();
        let set = |used: &mut Used, groups: &[u32]| {
            groups.iter().fold(0, |set, group| used.with(set, *group))
        };
        let (a, b) = (set(&mut used, &[3, 1, 3]), set(&mut used, &[1, 3, 3]));
        assert_eq!(a, b);
        assert_eq!((used.count(a, 3), used.count(a, 2)), (2, 0));
        for (small, large, is) in [
            (vec![], vec![1], true),
            (vec![1, 3], vec![3, 3, 1], true),
            (vec![3, 3], vec![1, 2, 3], false),
            (vec![2], vec![1, 3, 4], false),
            (vec![1, 2, 3], vec![1, 3], false),
            (vec![4], vec![1, 3, 4], true),
        ] {
            let (s, l) = (set(&mut used, &small), set(&mut used, &large));
            assert_eq!(used.is_subset(s, l), is, "{small:?} {large:?}");
        }
        let mut kept = [b];
        used.keep(kept.iter_mut());
        assert_eq!((used.len(), used.count(kept[0], 3)), (2, 2));
    }
}
