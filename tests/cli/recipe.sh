# Recipes: listed, shown, checked, applied by name and from a file, found in one's own folder, suggested.
. "$TORCHFERRY_SOURCE/tests/cli/prelude.bash"
export XDG_CONFIG_HOME=$PWD/config
cp "$fixtures/1.4.0/ffb6d_o1.pth.tar" old.pth.tar

# list and show
expect 0 recipe list
for name in ffb6d x-clip animal-clip aero aeromamba moola lightning mmcv fairseq detectron2 timm stable-baselines3; do
  grep -q "^$name " ../stdout || fail "$name is not listed"
done
cp ../stdout listed
expect 0 recipe
cmp ../stdout listed || fail "list is not the default"
expect 0 recipe show ffb6d
cmp "$TORCHFERRY_SOURCE/src/convert/recipes/ffb6d.toml" ../stdout || fail "what is shown is not the file"
expect 2 recipe show ffb6
stderr_is <<'TEXT'
torchferry: error: there is no recipe 'ffb6' [TF406]; hint: did you mean ffb6d?
TEXT
expect 2 recipe shwo ffb6d
stderr_has "did you mean torchferry recipe show?"
expect 2 recipe check
stderr_has "needs a recipe"

# Suggested by inspect with the reason, and by convert.
expect 0 inspect old.pth.tar
grep -E '^  recipe +ffb6d \(convert --recipe ffb6d\): model_state is a state_dict, optimizer_state is an optimizer state' \
  ../stdout >/dev/null || fail "inspect does not suggest it"
expect 0 inspect old.pth.tar --json
stdout_has '"recipe": {"name": "ffb6d", "because": "model_state is a state_dict,'
expect 0 convert old.pth.tar -o plain.pth.tar
stdout_has 'this looks like ffb6d: --recipe ffb6d'
stdout_has '[TF630]'

# By name.
expect 0 convert old.pth.tar -o new.pth.tar --recipe ffb6d
stdout_has 'recipe ffb6d: FFB6D of PyTorch 1.4 and apex, as its code for 2.x resumes it [TF530]'
! grep -q TF630 ../stdout || fail "a recipe is suggested where one was given"
expect 2 convert old.pth.tar -o other.pth --recipe moola
stderr_is <<'TEXT'
torchferry: error: old.pth.tar: recipe moola does not fit this file: model_state_dict is missing, must be a state_dict [TF432]; hint: see torchferry inspect --tree, and torchferry recipe show NAME
TEXT
expect 2 convert old.pth.tar -o other.pth --recipe ffb6d --layout keep
stderr_has '--layout keep forbids'
expect 2 convert old.pth.tar -o other.pth --recipe ffb6d --select model_state
stderr_has 'a recipe of your own may have a step'
[ ! -e other.pth ]

# From a file.
cat >mine.toml <<'TOML'
name = "mine"
about = "what my trainer reads"

[match]
"model_state" = "state_dict"
"epoch" = "int"

[[step]]
move = "model_state"
to = "model"

[[step]]
rename = '^cnn\.'
to = "backbone."
in = "model"
optional = true

[[step]]
drop = "optimizer_state"

[[step]]
set = "version"
value = 2

[require]
"model" = "state_dict"
"optimizer_state" = "absent"
TOML
expect 0 recipe check mine.toml
stdout_is <<'TEXT'
mine: the recipe can be used (1 shape, 4 steps)
TEXT
expect 0 recipe check mine.toml old.pth.tar
stdout_has 'old.pth.tar: it fits'
stdout_has '  yes  model_state is a state_dict'
stdout_has '  model_state: moved to model [TF532]'
expect 1 recipe check moola old.pth.tar
stdout_has '  NO   model_state_dict is missing, must be a state_dict'
expect 1 recipe check moola old.pth.tar --json
stdout_has '"fits": false'
expect 0 convert old.pth.tar -o mine.pth --recipe mine.toml
stdout_has 'optimizer_state: dropped [TF534]'
stdout_has 'version: set to 2 [TF535]'

# Broken files have lines and columns, and the word that was meant.
sed 's/^drop = /dorp = /' mine.toml >broken.toml
expect 2 recipe check broken.toml
stderr_is <<'TEXT'
torchferry: error: broken.toml: there is no key 'dorp' here; line 19, column 1 [TF431]; hint: did you mean drop?
TEXT
expect 2 convert old.pth.tar -o other.pth --recipe broken.toml
stderr_has 'line 19, column 1'
sed 's/^"model" = .*/"model" = "optimizer"/' mine.toml >wrong.toml
expect 2 convert old.pth.tar -o other.pth --recipe wrong.toml
stderr_has 'the result is not what recipe mine requires: model is a state_dict, must be an optimizer state'
expect 2 convert old.pth.tar -o other.pth --recipe nowhere.toml
stderr_has TF401
[ ! -e other.pth ]

# One's own folder: by name, suggested, in place of a built-in one, and broken ones stop nothing else.
mkdir -p config/torchferry/recipes
cp mine.toml broken.toml config/torchferry/recipes/
sed 's/"mine"/"moola"/' mine.toml >config/torchferry/recipes/moola.toml
expect 0 recipe list
grep -q "^mine  .*(.*/mine.toml)" ../stdout || fail "mine is not listed"
grep -q "^broken .*broken: .*line 19" ../stdout || fail "broken.toml is not listed as broken"
grep -q "^moola .*(replaces the built-in one: .*/moola.toml)" ../stdout || fail "moola is not replaced"
expect 0 recipe list --json
stdout_has '"name": "mine"'
expect 0 convert old.pth.tar -o mine2.pth --recipe mine
cmp mine.pth mine2.pth || fail "the recipe by name gives another file"
expect 2 convert old.pth.tar -o other.pth --recipe broken
stderr_has 'did you mean drop?'
unset XDG_CONFIG_HOME
mkdir -p home/.config && mv config/torchferry home/.config/
HOME=$PWD/home expect 0 recipe show mine
cmp mine.toml ../stdout || fail "the folder in HOME is not found"
