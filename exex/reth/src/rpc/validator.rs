//! Which modules `--http.api` and `--ws.api` may list.

use super::MODULE;
use reth_rpc_server_types::{
    DefaultRpcModuleValidator, RethRpcModule, RpcModuleSelection, RpcModuleValidator,
};

/// reth's own modules, and `bsp`.
#[derive(Debug, Clone, Copy)]
pub struct BspRpcModuleValidator;

impl RpcModuleValidator for BspRpcModuleValidator {
    fn parse_selection(text: &str) -> Result<RpcModuleSelection, String> {
        let bsp = RethRpcModule::Other(MODULE.to_owned());
        let is_bsp = |name: &&str| name.trim() == MODULE;
        let others: Vec<_> = text.split(',').filter(|name| !is_bsp(name)).collect();
        if others.is_empty() {
            return Ok(RpcModuleSelection::from([bsp]));
        }
        let selection = DefaultRpcModuleValidator::parse_selection(&others.join(","))?;
        let has_bsp = text.split(',').any(|name| is_bsp(&name));
        Ok(if has_bsp { selection.append(bsp) } else { selection })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has_bsp(text: &str) -> Option<bool> {
        let selection = BspRpcModuleValidator::parse_selection(text).ok()?;
        Some(selection.contains(&RethRpcModule::Other(MODULE.to_owned())))
    }

    #[test]
    fn bsp_is_one_more_module() {
        assert_eq!(has_bsp("eth,bsp,debug"), Some(true));
        assert_eq!(has_bsp("bsp"), Some(true));
        assert_eq!(has_bsp("eth,debug"), Some(false));
        assert_eq!(has_bsp("all"), Some(true));
        assert_eq!(has_bsp("eth,bps"), None);
    }
}
