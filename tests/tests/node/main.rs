//! The node with the Execution Extension, against real servers. The program is taken from BSP_RETH_BIN.

mod following;
