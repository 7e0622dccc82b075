//! Calls of precompiled contracts.

use super::plan::Plan;
use crate::{
    contracts::{RELAY_CALLCODE, RELAY_DELEGATECALL, RELAY_STATICCALL},
    frames::Call,
    genesis::DevFork,
};
use alloy_primitives::{Address, Bytes, U256, hex};

/// A precompiled contract with an input that it accepts and, where there is one, an input that it
/// fails on.
struct Precompile {
    address: Address,
    valid: Bytes,
    invalid: Option<Bytes>,
}

/// Gas for any of the calls here, all of which a failing one loses.
const GAS: u64 = 120_000;

fn precompile(number: u64, valid: Bytes, invalid: Option<Bytes>) -> Precompile {
    Precompile { address: Address::from_word(U256::from(number).into()), valid, invalid }
}

/// `length` zero bytes: the point at infinity, in as many coordinates as it has.
fn infinity(length: usize) -> Bytes {
    vec![0; length].into()
}

/// Neither on a curve nor of any length that a precompile expects.
fn garbage() -> Option<Bytes> {
    Some(Bytes::from_static(&[0xff; 33]))
}

/// A digest, `v`, `r`, `s`: a signature that recovers somebody (secp256k1).
const RECOVERY: [u8; 128] = hex!(
    "456e9aea5e197a1f1af7a3e85a3212fa4049a3ba34c2289b4c860fc0b0c64ef3"
    "000000000000000000000000000000000000000000000000000000000000001c"
    "9242685bf161793cc25603c231bc2f568eb630ea16aa137d2664ac8038825608"
    "4f8ae3bd7535248d0bd448298cc2e2071e56992d0774dc340c368ae950852ada"
);

/// A digest, `r`, `s`, and the public key: the signature of "sample" in RFC 6979, A.2.5 (P-256,
/// SHA-256).
const P256_SIGNATURE: [u8; 160] = hex!(
    "af2bdbe1aa9b6ec1e2ade1d694f41fc71a831d0268e9891562113d8a62add1bf"
    "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
    "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"
    "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"
    "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299"
);

/// Versioned hash of the commitment to the zero polynomial (EIP-4844).
const ZERO_POLYNOMIAL: [u8; 32] =
    hex!("010657f37554c781402a22917dee2f75def7ab966d7b770905398eba3c444014");

/// The zero polynomial is zero at zero: versioned hash, point, value, commitment and proof.
fn point_evaluation() -> Bytes {
    let mut infinity = [0; 48];
    infinity[0] = 0xc0;
    [&ZERO_POLYNOMIAL[..], &[0; 64], &infinity, &infinity].concat().into()
}

/// Base, exponent and modulus of `length` bytes each.
fn modular_exponentiation(length: usize) -> Bytes {
    let head = U256::from(length).to_be_bytes::<32>().repeat(3);
    [head, vec![7; 3 * length]].concat().into()
}

/// All precompiles of a fork.
fn all(fork: DevFork) -> Vec<Precompile> {
    let cancun = [
        precompile(0x01, RECOVERY.into(), None),
        precompile(0x02, Bytes::from_static(b"bsp"), None),
        precompile(0x03, Bytes::from_static(b"bsp"), None),
        precompile(0x04, Bytes::from_static(b"bsp"), None),
        precompile(0x05, modular_exponentiation(1), Some(modular_exponentiation(1025))),
        precompile(0x06, infinity(128), garbage()),
        precompile(0x07, infinity(96), garbage()),
        precompile(0x08, infinity(192), garbage()),
        precompile(0x09, infinity(213), garbage()),
        precompile(0x0a, point_evaluation(), garbage()),
    ];
    let prague = [
        precompile(0x0b, infinity(256), garbage()),
        precompile(0x0c, infinity(160), garbage()),
        precompile(0x0d, infinity(512), garbage()),
        precompile(0x0e, infinity(288), garbage()),
        precompile(0x0f, infinity(384), garbage()),
        precompile(0x10, infinity(64), garbage()),
        precompile(0x11, infinity(128), garbage()),
    ];
    let osaka = [precompile(0x100, P256_SIGNATURE.into(), None)];
    let prague = prague.into_iter().filter(|_| fork >= DevFork::Prague);
    let osaka = osaka.into_iter().filter(|_| fork >= DevFork::Osaka);
    cancun.into_iter().chain(prague).chain(osaka).collect()
}

/// How many precompiles one transaction calls.
const PER_TRANSACTION: usize = 5;

/// A few precompiles that are next to each other, from any of them on.
fn some(plan: &mut Plan<'_>) -> impl Iterator<Item = Precompile> {
    let mut all = all(plan.scene.config.fork);
    let start = plan.dice.below(all.len());
    all.rotate_left(start);
    all.into_iter().take(PER_TRANSACTION)
}

/// Valid inputs.
pub(super) fn precompiles_pass(plan: &mut Plan<'_>) {
    let call = |contract: Precompile| Call::to(contract.address).input(contract.valid).gas(GAS);
    let calls: Vec<_> = some(plan).map(call).collect();
    plan.batch(&calls);
}

/// Invalid inputs.
pub(super) fn precompiles_fail(plan: &mut Plan<'_>) {
    let call = |contract: Precompile| {
        let invalid = contract.invalid?;
        Some(Call::to(contract.address).input(invalid).gas(GAS).fails())
    };
    let calls: Vec<_> = some(plan).filter_map(call).collect();
    plan.batch(&calls);
}

/// Valid inputs through the calls that only gas makes read their target.
pub(super) fn precompiles_by_delegatecall(plan: &mut Plan<'_>) {
    let relays = [RELAY_DELEGATECALL, RELAY_CALLCODE, RELAY_STATICCALL];
    let call = |(contract, relay): (Precompile, Address)| {
        Call::to(contract.address).input(contract.valid).gas(GAS).through(relay)
    };
    let calls: Vec<_> = some(plan).zip(relays).map(call).collect();
    plan.batch(&calls);
}

#[cfg(test)]
mod tests {
    use super::*;
    use revm::precompile::{PrecompileOutput, Precompiles};

    fn precompiles(fork: DevFork) -> &'static Precompiles {
        match fork {
            DevFork::Cancun => Precompiles::cancun(),
            DevFork::Prague => Precompiles::prague(),
            DevFork::Osaka => Precompiles::osaka(),
        }
    }

    fn run(fork: DevFork, address: Address, input: &Bytes) -> PrecompileOutput {
        let contract = precompiles(fork).get(&address).expect("a precompile");
        contract.execute(input, GAS, 0).expect("no fatal error")
    }

    #[test]
    fn every_precompile_is_called() {
        for fork in DevFork::ALL {
            let mut ours: Vec<_> = all(fork).iter().map(|contract| contract.address).collect();
            ours.sort_unstable();
            let mut existing: Vec<_> = precompiles(fork).addresses().copied().collect();
            existing.sort_unstable();
            assert_eq!(ours, existing, "{fork}");
        }
    }

    #[test]
    fn valid_inputs_have_output_and_invalid_ones_fail() {
        for fork in DevFork::ALL {
            for Precompile { address, valid, invalid } in all(fork) {
                let output = run(fork, address, &valid);
                assert!(output.is_success() && !output.bytes.is_empty(), "{address}: {output:?}");
                if let Some(invalid) = invalid {
                    assert!(!run(fork, address, &invalid).is_success(), "{address}");
                }
            }
        }
    }
}
