//! The row tree: RFC 6962 section 2.1 over leaf hashes, built in one pass with one node per level in memory.
//!
//! Not responsible for what a leaf contains. An odd last node is carried up unchanged, never doubled.

use crate::crypto;

/// A node of the tree.
pub type Hash = [u8; 32];

/// Hash of a leaf's bytes: SHA-256 of `0x00` and the leaf.
pub fn leaf_hash(leaf: &[u8]) -> Hash {
    let mut hasher = crypto::Hasher::default();
    hasher.update(&[0]);
    hasher.update(leaf);
    hasher.finish().0
}

/// Hash of an inner node: SHA-256 of `0x01`, left, right.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut bytes = [0_u8; 65];
    bytes[0] = 1;
    bytes[1..33].copy_from_slice(left);
    bytes[33..].copy_from_slice(right);
    crypto::sha256(&bytes).0
}

/// A tree that grows at its right edge. Memory: one node per level.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    size: u64,
    stack: Vec<(u32, Hash)>,
}

impl Tree {
    /// Appends a leaf.
    pub fn push(&mut self, leaf: Hash) {
        self.push_subtree(0, leaf);
    }

    /// Appends a complete subtree of 2^`level` leaves. The size so far must be a multiple of that; a caller that
    /// breaks this gets another root.
    pub fn push_subtree(&mut self, level: u32, root: Hash) {
        self.size += 1 << level;
        let (mut level, mut hash) = (level, root);
        while let Some((top, left)) = self.stack.last()
            && *top == level
        {
            hash = node_hash(left, &hash);
            level += 1;
            self.stack.pop();
        }
        self.stack.push((level, hash));
    }

    /// Number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Root of the leaves so far; SHA-256 of nothing for an empty tree.
    pub fn root(&self) -> Hash {
        let mut nodes = self.stack.iter().rev().map(|(_, hash)| *hash);
        match nodes.next() {
            None => crypto::sha256(b"").0,
            Some(last) => nodes.fold(last, |right, left| node_hash(&left, &right)),
        }
    }
}

/// Root that an audit path leads to (RFC 9162, section 2.1.3.2); `None` when the path's length does not fit.
pub fn root_of_path(leaf: Hash, index: u64, size: u64, path: &[Hash]) -> Option<Hash> {
    if index >= size {
        return None;
    }
    let (mut fn_, mut sn, mut r) = (index, size - 1, leaf);
    for p in path {
        if sn == 0 {
            return None;
        }
        if fn_ & 1 == 1 || fn_ == sn {
            r = node_hash(p, &r);
            while fn_ & 1 == 0 && fn_ != 0 {
                fn_ >>= 1;
                sn >>= 1;
            }
        } else {
            r = node_hash(&r, p);
        }
        fn_ >>= 1;
        sn >>= 1;
    }
    (sn == 0).then_some(r)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level_by_level(mut nodes: Vec<Hash>) -> Hash {
        if nodes.is_empty() {
            return crypto::sha256(b"").0;
        }
        while nodes.len() > 1 {
            nodes = nodes.chunks(2).map(|c| if c.len() == 2 { node_hash(&c[0], &c[1]) } else { c[0] }).collect();
        }
        nodes[0]
    }

    /// The streaming root equals pairing level by level, for every size and also when subtrees are appended.
    #[test]
    fn streaming_equals_pairing() {
        for size in 0..70_u64 {
            let leaves: Vec<Hash> = (0..size).map(|i| leaf_hash(&i.to_be_bytes())).collect();
            let mut tree = Tree::default();
            let mut blocks = Tree::default();
            for (i, leaf) in leaves.iter().enumerate() {
                tree.push(*leaf);
                if i % 4 == 0 && i + 4 <= leaves.len() {
                    blocks.push_subtree(2, level_by_level(leaves[i..i + 4].to_vec()));
                } else if i >= leaves.len() / 4 * 4 {
                    blocks.push(*leaf);
                }
            }
            assert_eq!(tree.root(), level_by_level(leaves.clone()), "{size}");
            assert_eq!(blocks.root(), tree.root(), "{size}");
            assert_eq!(blocks.size(), size);
        }
    }

    /// Doubling the odd node would give another root.
    #[test]
    fn odd_node_is_not_doubled() {
        let leaf = |i: u8| leaf_hash(&[i]);
        let (mut three, mut four) = (Tree::default(), Tree::default());
        for i in [1, 2, 3] {
            three.push(leaf(i));
            four.push(leaf(i));
        }
        four.push(leaf(3));
        assert_ne!(three.root(), four.root());
    }
}
