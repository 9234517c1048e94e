//! The order of transactions, read off the offsets of every segment: it must be one order (G0).
//!
//! An edge leads from a transaction to the next one in a segment. Plain appends are left out, as each of their events
//! stands for itself, and there are no edges from reads, as no transaction here reads.

use std::collections::BTreeMap;

use super::{
    anomaly::{AnomalyKind, Findings, Place},
    operation::Stream,
    placement::Placement,
};

/// From a transaction to those that follow it somewhere, with one such place each.
type Graph = BTreeMap<u32, BTreeMap<u32, (Stream, u32, u64)>>;

/// Finds WriteCycle.
pub(super) fn check(findings: &mut Findings<'_>, placement: &Placement) {
    let graph = graph(findings, placement);
    for component in strongly_connected(&graph) {
        let edges = component.iter().filter_map(|write| graph.get(write)).flatten();
        let inside = edges.filter(|(to, _)| component.contains(to)).map(|(_, place)| *place);
        let Some((stream, segment, offset)) = inside.min() else { continue };
        findings.add(AnomalyKind::WriteCycle, Place::at(stream, segment, [offset]), &[], |history| {
            let writes = component.iter().filter_map(|write| history.writes.get(*write as usize));
            let names: Vec<String> = writes.map(|write| history.write_name(write)).collect();
            format!("each lies before the others somewhere: {}", names.join(", "))
        });
    }
}

fn graph(findings: &Findings<'_>, placement: &Placement) -> Graph {
    let mut graph = Graph::new();
    for &(stream, segment) in placement.segments.keys() {
        let mut last = None;
        for (offset, _, number, write) in placement.in_order(findings.history, stream, segment) {
            if !write.is_transaction() || last == Some(number) {
                continue;
            }
            graph.entry(number).or_default();
            if let Some(last) = last.replace(number) {
                graph.entry(last).or_default().entry(number).or_insert((stream, segment, offset));
            }
        }
    }
    graph
}

/// What Tarjan's algorithm knows of a node.
#[derive(Debug, Default, Clone, Copy)]
struct Node {
    found: usize,
    low: usize,
    on_stack: bool,
}

/// Components of at least two nodes (Tarjan, without recursion: a chain of transactions is long).
fn strongly_connected(graph: &Graph) -> Vec<Vec<u32>> {
    let mut nodes: BTreeMap<u32, Node> = BTreeMap::new();
    let (mut stack, mut components) = (Vec::new(), Vec::new());
    for &root in graph.keys() {
        if nodes.contains_key(&root) {
            continue;
        }
        let mut path = vec![enter(graph, &mut nodes, &mut stack, root)];
        while let Some((node, ahead)) = path.last_mut() {
            let node = *node;
            if let Some(&next) = ahead.next() {
                match nodes.get(&next).copied() {
                    None => path.push(enter(graph, &mut nodes, &mut stack, next)),
                    Some(known) if known.on_stack => lower(&mut nodes, node, known.found),
                    Some(_) => {}
                }
                continue;
            }
            path.pop();
            let done = nodes.get(&node).copied().unwrap_or_default();
            if let Some((parent, _)) = path.last() {
                lower(&mut nodes, *parent, done.low);
            }
            if done.low == done.found {
                let from = stack.iter().rposition(|on_stack| *on_stack == node).unwrap_or_default();
                let component = stack.split_off(from);
                for member in &component {
                    nodes.entry(*member).or_default().on_stack = false;
                }
                components.extend((component.len() > 1).then_some(component));
            }
        }
    }
    components
}

/// The nodes ahead of a node that are still to be followed.
type Ahead<'a> = std::collections::btree_map::Keys<'a, u32, (Stream, u32, u64)>;

fn enter<'a>(graph: &'a Graph, nodes: &mut BTreeMap<u32, Node>, stack: &mut Vec<u32>, node: u32) -> (u32, Ahead<'a>) {
    let found = nodes.len();
    nodes.insert(node, Node { found, low: found, on_stack: true });
    stack.push(node);
    (node, graph[&node].keys())
}

fn lower(nodes: &mut BTreeMap<u32, Node>, node: u32, low: usize) {
    let known = nodes.entry(node).or_default();
    known.low = known.low.min(low);
}
