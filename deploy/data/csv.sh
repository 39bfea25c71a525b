# quickstart.sh's recipe for CSV files, the embedded digits among them.
: "${clients:=8}" "${partition:=dirichlet}" "${alpha:=0.3}" "${central:=yes}"
hidden=64
digits=$top/deploy/data/digits.csv.gz
data=${data:-$digits}

[ "$partition" != writers ] || refuse "--partition writers: only mnist tells who wrote what"
[ -r "$data" ] || refuse "--data $data: cannot read it"

# Sets data_options, features and classes.
prepare_data() {
  local scale=(--data.scale-columns)                     # each feature to -1..1, whatever the file holds
  [ "$data" = "$digits" ] && scale=(--data.scale 0.0625) # its pixels are 0 to 16
  data_options=(--data "$data" "${scale[@]}" --data.test-fraction 0.2 --data.seed "$seed")
  python3 "$top/deploy/csv_shape.py" "$data" >"$work/shape" || { echo "quickstart.sh: --data $data is not usable" >&2; exit 1; }
  read -r features classes <"$work/shape"
}
