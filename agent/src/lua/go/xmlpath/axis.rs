//! The directions in which a step looks.

use roxmltree::{Node, NodeId};

/// A direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Axis {
    Ancestor,
    AncestorOrSelf,
    Attribute,
    Child,
    Descendant,
    DescendantOrSelf,
    Following,
    FollowingSibling,
    Parent,
    Preceding,
    PrecedingSibling,
    Itself,
}

impl Axis {
    /// The axis with a name in a path.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "ancestor" => Self::Ancestor,
            "ancestor-or-self" => Self::AncestorOrSelf,
            "attribute" => Self::Attribute,
            "child" => Self::Child,
            "descendant" => Self::Descendant,
            "descendant-or-self" => Self::DescendantOrSelf,
            "following" => Self::Following,
            "following-sibling" => Self::FollowingSibling,
            "parent" => Self::Parent,
            "preceding" => Self::Preceding,
            "preceding-sibling" => Self::PrecedingSibling,
            "self" => Self::Itself,
            _ => return None,
        })
    }
}

/// A node of XPath: one of the tree, or an attribute, which the tree keeps in its element.
#[derive(Clone, Copy, Debug)]
pub(super) enum Item<'a, 'input> {
    Tree(Node<'a, 'input>),
    /// The element and the number of its attribute.
    Attribute(Node<'a, 'input>, usize),
}

type Items<'a, 'input> = Box<dyn Iterator<Item = Item<'a, 'input>> + 'a>;

impl<'a, 'input: 'a> Item<'a, 'input> {
    /// What tells it apart in its document.
    pub(super) fn id(self) -> (NodeId, Option<usize>) {
        match self {
            Self::Tree(node) => (node.id(), None),
            Self::Attribute(node, number) => (node.id(), Some(number)),
        }
    }

    /// The items on an axis, the nearest first. What is yielded is the work that is done.
    pub(super) fn along(self, axis: Axis) -> Items<'a, 'input> {
        let node = match self {
            Self::Tree(node) => node,
            Self::Attribute(element, _) => return self.along_from_attribute(element, axis),
        };
        match axis {
            Axis::Ancestor => trees(node.ancestors().skip(1)),
            Axis::AncestorOrSelf => trees(node.ancestors()),
            Axis::Attribute => {
                let count = node.attributes().len();
                Box::new((0..count).map(move |number| Self::Attribute(node, number)))
            }
            Axis::Child => trees(node.children()),
            Axis::Descendant => trees(node.descendants().skip(1)),
            Axis::DescendantOrSelf => trees(node.descendants()),
            Axis::Following => trees(following(node)),
            Axis::FollowingSibling => trees(node.next_siblings().skip(1)),
            Axis::Parent => trees(node.parent().into_iter()),
            Axis::Preceding => trees(preceding(node)),
            Axis::PrecedingSibling => trees(node.prev_siblings().skip(1)),
            Axis::Itself => Box::new(std::iter::once(self)),
        }
    }

    /// An attribute has no children and no siblings; its element is its parent, and what is in the
    /// element follows it.
    fn along_from_attribute(self, element: Node<'a, 'input>, axis: Axis) -> Items<'a, 'input> {
        match axis {
            Axis::Ancestor => trees(element.ancestors()),
            Axis::AncestorOrSelf => {
                let itself = std::iter::once(self);
                Box::new(itself.chain(trees(element.ancestors())))
            }
            Axis::Following => trees(element.descendants().skip(1).chain(following(element))),
            Axis::Parent => trees(std::iter::once(element)),
            Axis::Preceding => trees(preceding(element)),
            Axis::DescendantOrSelf | Axis::Itself => Box::new(std::iter::once(self)),
            Axis::Attribute
            | Axis::Child
            | Axis::Descendant
            | Axis::FollowingSibling
            | Axis::PrecedingSibling => Box::new(std::iter::empty()),
        }
    }
}

fn trees<'a, 'input: 'a>(nodes: impl Iterator<Item = Node<'a, 'input>> + 'a) -> Items<'a, 'input> {
    Box::new(nodes.map(Item::Tree))
}

fn following<'a, 'input: 'a>(
    node: Node<'a, 'input>,
) -> impl Iterator<Item = Node<'a, 'input>> + 'a {
    node.ancestors()
        .flat_map(|above| above.next_siblings().skip(1))
        .flat_map(|sibling| sibling.descendants())
}

fn preceding<'a, 'input: 'a>(
    node: Node<'a, 'input>,
) -> impl Iterator<Item = Node<'a, 'input>> + 'a {
    node.ancestors()
        .flat_map(|above| above.prev_siblings().skip(1))
        .flat_map(|sibling| {
            let below: Vec<_> = sibling.descendants().collect();
            below.into_iter().rev()
        })
}
