# quickstart.sh's recipe for MNIST: 60,000 training images, 10,000 test images, and the writers of the training images
# from QMNIST. The files are looked for in $FL_DATA/mnist under their publishers' names: plain, .gz, .xz, or cut in
# .part1.xz, .part2.xz...
: "${clients:=20}" "${partition:=writers}" "${alpha:=0.1}" "${central:=no}"
hidden=128 features=784 classes=10
mnist=${FL_DATA:-$top/../shared/data}/mnist

# Prints the file, or the parts in order, that hold STEM; nothing when there is none.
stored() { # STEM
  local file
  for file in "$mnist/$1" "$mnist/$1.gz" "$mnist/$1.xz"; do
    [ -r "$file" ] && { echo "$file"; return; }
  done
  for file in "$mnist/$1".part*.xz; do
    [ -r "$file" ] && echo "$file"
  done
  return 0
}

stems=(train-images-idx3-ubyte train-labels-idx1-ubyte t10k-images-idx3-ubyte t10k-labels-idx1-ubyte)
[ "$partition" != writers ] || stems+=(qmnist-train-labels-idx2-int)
for stem in "${stems[@]}"; do
  [ -n "$(stored "$stem")" ] ||
    refuse "--data mnist: $mnist/$stem (plain, .gz or .xz) is not there; set FL_DATA to the folder that holds mnist/"
done

# Unpacks once, so that not every client has to. Sets data_options and group_options.
prepare_data() {
  local stem files
  mkdir -p "$work/data"
  for stem in "${stems[@]}"; do
    mapfile -t files < <(stored "$stem")
    python3 "$top/deploy/unpack.py" "${files[@]}" >"$work/data/$stem"
  done
  data_options=(--data.format idx --data.seed "$seed"
    --data "$work/data/train-images-idx3-ubyte" --data.labels "$work/data/train-labels-idx1-ubyte"
    --data.test-path "$work/data/t10k-images-idx3-ubyte" --data.test-labels "$work/data/t10k-labels-idx1-ubyte")
  group_options=(--data.groups "$work/data/qmnist-train-labels-idx2-int" --data.group-column 2) # the third column is the writer
}
