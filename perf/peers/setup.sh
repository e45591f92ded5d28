#!/usr/bin/env bash
# Gets what perf/compare.py measures Engine against into perf/peers/out, which git ignores: ONNX Runtime's library out of an npm package, pinned by its checksum, and the two small programs
# that drive it and OpenBLAS. PyTorch and OpenBLAS are the distribution's:  apt-get install python3-torch libopenblas0-pthread g++ npm
set -euo pipefail
cd "$(dirname "$0")"
package=onnxruntime-node@1.30.0 archive=onnxruntime-node-1.30.0.tgz
checksum=6e3390d6b783e7be946fad629292799da28d0b42f84856e50d2c1b0383291e75
library=package/bin/napi-v6/linux/x64/libonnxruntime.so.1
python=${PEER_PYTHON:-/usr/bin/python3}

[ "$(uname -sm)" = "Linux x86_64" ] || { echo "setup.sh: the pinned library is for Linux on x86-64" >&2; exit 2; }
for tool in g++ npm taskset "$python"; do command -v "$tool" >/dev/null || { echo "setup.sh: $tool is missing" >&2; exit 2; }; done
mkdir -p out
if [ ! -f out/libonnxruntime.so.1 ]; then
  (cd out && npm pack --silent "$package" >/dev/null) # 113 MB, for all systems
  echo "$checksum  out/$archive" | sha256sum --check --quiet
  tar -xzf "out/$archive" -C out --strip-components=5 "$library"
  rm "out/$archive"
fi
for program in openblas onnxruntime; do g++ -O2 -std=c++17 -Wall -Wextra -Werror -o "out/$program" "$program.cpp" -ldl; done

# Each once, so that what is missing is found now.
out/onnxruntime out/libonnxruntime.so.1 100 17-256-256-6 >/dev/null
out/openblas libopenblas.so.0 1 64x64x64 >/dev/null
"$python" - <<'CHECK'
import time, torch
# Without OpenBLAS, Debian's PyTorch falls back to a reference BLAS and is no peer.
a = torch.rand(512, 512)
a @ a
start = time.perf_counter()
for _ in range(10): a @ a
rate = 10 * 2 * 512 ** 3 / (time.perf_counter() - start) / 1e9
assert rate > 20, f"PyTorch multiplies at {rate:.0f} GFLOP/s: is OpenBLAS its BLAS (update-alternatives --config libblas.so.3-x86_64-linux-gnu)?"
print(f"PyTorch {torch.__version__}, ready")
CHECK
