//! Three trees over a row of places, for taking things away one by one.

/// How deep each place lies. Ranges can be raised to the surface, depth by depth.
pub(crate) struct Depths {
    /// Of the lower of two siblings zero, of the other one how much more it has: so the depth of a
    /// place is the sum on its way up, and a node's sum is the least depth below it.
    nodes: Vec<i32>,
    leaves: usize,
}

impl Depths {
    pub fn new(depths: &[u32]) -> Self {
        let leaves = depths.len().next_power_of_two();
        let mut nodes = vec![0; leaves];
        nodes.extend(depths.iter().map(|&depth| depth as i32));
        nodes.resize(2 * leaves, i32::MAX / 2);
        let mut tree = Self { nodes, leaves };
        (1..leaves).rev().for_each(|node| tree.settle(node));
        tree
    }

    /// Moves up what both children have.
    fn settle(&mut self, node: usize) {
        let less = self.nodes[2 * node].min(self.nodes[2 * node + 1]);
        self.nodes[2 * node] -= less;
        self.nodes[2 * node + 1] -= less;
        self.nodes[node] += less;
    }

    /// Takes one from the depth of the places `from..to`.
    pub fn lower(&mut self, from: usize, to: usize) {
        let (mut left, mut right) = (from + self.leaves, to + self.leaves);
        while left < right {
            if left % 2 == 1 {
                self.nodes[left] -= 1;
                left += 1;
            }
            if right % 2 == 1 {
                right -= 1;
                self.nodes[right] -= 1;
            }
            (left, right) = (left / 2, right / 2);
        }
        for leaf in [from, to - 1] {
            let mut node = (leaf + self.leaves) / 2;
            while node > 0 {
                self.settle(node);
                node /= 2;
            }
        }
    }

    /// The first place from this one on with depth zero; there is one.
    pub fn first_zero(&self, from: usize) -> usize {
        let mut node = from + self.leaves;
        let mut sum: i32 = 0;
        let mut up = node;
        while up > 0 {
            sum += self.nodes[up];
            up /= 2;
        }
        if sum == 0 {
            return from;
        }
        while node > 1 {
            sum -= self.nodes[node];
            if node.is_multiple_of(2) && sum + self.nodes[node + 1] == 0 {
                node += 1;
                while node < self.leaves {
                    node = 2 * node + usize::from(self.nodes[2 * node] != 0);
                }
                return node - self.leaves;
            }
            node /= 2;
        }
        unreachable!("the last place has depth zero")
    }
}

/// How early and how late each item of a row reaches.
pub(crate) struct Reach {
    /// The earliest and the latest below each node.
    nodes: Vec<(u32, u32)>,
    leaves: usize,
}

/// What reaches nowhere.
const NOWHERE: (u32, u32) = (u32::MAX, 0);

impl Reach {
    pub fn new(items: impl ExactSizeIterator<Item = (u32, u32)>) -> Self {
        let leaves = items.len().next_power_of_two();
        let mut nodes = vec![NOWHERE; leaves];
        nodes.extend(items);
        nodes.resize(2 * leaves, NOWHERE);
        let mut tree = Self { nodes, leaves };
        (1..leaves).rev().for_each(|node| tree.settle(node));
        tree
    }

    fn settle(&mut self, node: usize) {
        let (left, right) = (self.nodes[2 * node], self.nodes[2 * node + 1]);
        self.nodes[node] = (left.0.min(right.0), left.1.max(right.1));
    }

    /// Takes an item away.
    pub fn remove(&mut self, nth: usize) {
        let mut node = nth + self.leaves;
        self.nodes[node] = NOWHERE;
        while node > 1 {
            node /= 2;
            self.settle(node);
        }
    }

    /// The first item of `from..to` that reaches from before `early` to after `late`.
    pub fn find(&self, from: usize, to: usize, early: u32, late: u32) -> Option<usize> {
        self.find_below(1, (0, self.leaves), (from, to), (early, late))
    }

    fn find_below(
        &self,
        node: usize,
        (low, high): (usize, usize),
        (from, to): (usize, usize),
        (early, late): (u32, u32),
    ) -> Option<usize> {
        let (earliest, latest) = self.nodes[node];
        if high <= from || to <= low || earliest >= early || latest <= late {
            return None;
        }
        if high - low == 1 {
            return Some(low);
        }
        let middle = usize::midpoint(low, high);
        let within = ((from, to), (early, late));
        self.find_below(2 * node, (low, middle), within.0, within.1)
            .or_else(|| self.find_below(2 * node + 1, (middle, high), within.0, within.1))
    }
}

/// Which of a row of items are still there.
pub(crate) struct Alive {
    /// Itself if it is there; else one after it, as far as is known.
    next: Vec<u32>,
}

impl Alive {
    pub fn new(items: usize) -> Self {
        Self { next: (0..=items as u32).collect() }
    }

    pub fn is(&self, nth: usize) -> bool {
        self.next[nth] == nth as u32
    }

    /// Takes one away.
    pub fn remove(&mut self, nth: usize) {
        self.next[nth] = nth as u32 + 1;
    }

    /// The first from this one on that is there, or the end.
    pub fn from(&mut self, mut nth: usize) -> usize {
        while self.next[nth] as usize != nth {
            let next = self.next[nth] as usize;
            self.next[nth] = self.next[next];
            nth = next;
        }
        nth
    }
}
