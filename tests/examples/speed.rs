use bsp_tests::{messages::dev::DevBlocks, node::block::EngineBlock};
fn main() {
    let mut b =
        DevBlocks::with_scenarios(1, std::env::args().nth(1).unwrap().parse().unwrap()).unwrap();
    let t = std::time::Instant::now();
    let mut types = std::collections::BTreeMap::<u8, usize>::new();
    for i in 1..=600 {
        let e = EngineBlock::next(&mut b).unwrap();
        for (k, v) in e.types {
            *types.entry(k).or_default() += v;
        }
        if i % 100 == 0 {
            println!("{i} {:?} {types:?} gas {}", t.elapsed(), e.gas_used);
        }
    }
    let t = std::time::Instant::now();
    let c = b.clone();
    println!("clone {:?} accounts {}", t.elapsed(), c.chain().state().account_count());
}
