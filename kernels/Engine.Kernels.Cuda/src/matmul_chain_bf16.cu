// Chains of products whose factors are rounded to BFloat16. Entries as in matmul_chain.cu; a block takes 16, 32 or 128 rows.
#include "matmul_chain_tensor.cuh"

MATMUL_CHAIN_TENSOR(matmul_chain_bf16, true, 16, 16, 32, 2)
MATMUL_CHAIN_TENSOR(matmul_chain_bf16, true, 32, 32, 32, 3)
MATMUL_CHAIN_TENSOR(matmul_chain_bf16, true, 128, 64, 64, 2)
KERNEL_BOUNDED(member_chain_bf16_16_backward, 256, 1, MEMBER_CHAIN_PARAMETERS) { member_chain<ChainTensor<true, 16, 16, 32, 2, true, true>>(MEMBER_CHAIN, member); }
