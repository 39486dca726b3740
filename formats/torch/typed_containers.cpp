// Source: torch/jit/_pickle.py and torch/csrc/jit/serialization/{pickler,unpickler}.cpp, 1.1 … 2.13.
#include "formats/torch/rebuild.h"

namespace ferry::torch {

bool interpret_typed_container(python::Call& call) {
  if (!call.known) return false;
  const bool list = call.known->role == Role::build_list;
  if (!list && call.known->role != Role::restore_type_tag) return false;
  if (list)
    call.need_arguments(1, 1);
  else
    call.need_arguments(2, 2);
  call.need_nothing_after();
  const Kind kind = call.graph.kind(call.arguments[0]);
  if (kind != Kind::list && (list || kind != Kind::dict)) call.fail("takes a container");
  call.become(call.arguments[0]);
  return true;
}

}  // namespace ferry::torch
