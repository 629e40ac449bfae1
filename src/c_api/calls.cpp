// The C interface: collectives, point to point, groups, and their works. Each function checks what
// C++'s types rule out and hands on to the member of the communicator of the same name.

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <new>
#include <utility>

#include "base/try.h"
#include "c_api/handles.h"

using tutti::Code;
using tutti::Communicator;
using tutti::DataType;
using tutti::error;
using tutti::Reduction;
using tutti::Status;
using tutti::c_api::check_constant;
using tutti::c_api::Given;
using tutti::c_api::guarded;
using tutti::c_api::named;
using tutti::c_api::out_of_memory;

namespace {

// ---- Arguments, and what C++ takes for them

struct Type {
  tutti_data_type value;
};

struct BlockArrays {
  const char* name;  // of the counts
  const std::int64_t* counts;
  const std::int64_t* offsets;
};

template <typename T>
Status check_argument(const T&) {
  return {};
}
Status check_argument(Type type) {
  return check_constant("type", "tutti_data_type", type.value, tutti::kDataTypeCount);
}
Status check_argument(const BlockArrays& blocks) {
  if (blocks.counts != nullptr) return {};
  return error(Code::invalid_argument, "{} is NULL", blocks.name);
}
Status check_argument(const tutti_reduction& op) {
  TUTTI_TRY(check_constant("op.op", "tutti_reduce_op", op.op, tutti::kReduceOpCount));
  TUTTI_TRY(
      check_constant("op.factor_kind", "tutti_factor", op.factor_kind, TUTTI_FACTOR_INTEGER + 1));
  if (op.factor_kind == TUTTI_FACTOR_NONE || op.op == TUTTI_SUM) return {};
  return error(Code::invalid_argument,
               "op.op is {}, but op.factor_kind is {}: only sum has factors",
               tutti_reduce_op_name(op.op), op.factor_kind);
}

template <typename T>
const T& convert(const Communicator& /*communicator*/, const T& argument) {
  return argument;
}
DataType convert(const Communicator& /*communicator*/, Type type) {
  return static_cast<DataType>(type.value);
}
Reduction convert(const Communicator& /*communicator*/, const tutti_reduction& op) {
  if (op.factor_kind == TUTTI_FACTOR_FLOATING) {
    return Reduction::premultiplied_sum(op.factor.floating);
  }
  if (op.factor_kind == TUTTI_FACTOR_INTEGER) {
    return Reduction::premultiplied_sum(op.factor.integer);
  }
  return static_cast<tutti::ReduceOp>(op.op);
}
tutti::Blocks convert(const Communicator& communicator, const BlockArrays& blocks) {
  const auto ranks = static_cast<std::size_t>(communicator.size());
  tutti::Blocks converted{.counts = {blocks.counts, ranks}};
  if (blocks.offsets != nullptr) converted.offsets = {blocks.offsets, ranks};
  return converted;
}

// The first error of the arguments.
template <typename... Arguments>
Status check_all(const char* function, const Arguments&... arguments) {
  Status status;
  (void)((status = check_argument(arguments)).ok() && ...);
  return named(function, status);
}

// A group fails with the first error of its calls, whichever layer found it.
void note(tutti_comm* comm, const Status& status) {
  if (comm->groups > 0 && comm->refused.ok()) comm->refused = status;
}

// ---- Calling `kMember` of the communicator with these arguments

template <auto kMember, typename... Arguments>
tutti_status* run(const char* function, tutti_comm* comm, const Arguments&... arguments) noexcept {
  return guarded(function, {{"comm", comm != nullptr}}, [&] {
    Status status = check_all(function, arguments...);
    if (status.ok()) {
      Communicator& communicator = comm->communicator;
      status = (communicator.*kMember)(convert(communicator, arguments)...);
    }
    note(comm, status);
    return status;
  });
}

// `call` sets the work that it gets, or returns why there is none.
template <typename Call>
tutti_work* started(const char* function, std::initializer_list<Given> arguments,
                    Call call) noexcept {
  auto* const work = new (std::nothrow) tutti_work;
  if (work == nullptr) return nullptr;
  tutti_status* const status = guarded(function, arguments, [&] { return call(work->work); });
  if (status == &out_of_memory) {
    delete work;
    return nullptr;
  }
  if (status != nullptr) work->refused = std::move(status->status);
  delete status;
  return work;
}

template <auto kMember, typename... Arguments>
tutti_work* start(const char* function, tutti_comm* comm, const Arguments&... arguments) noexcept {
  return started(function, {{"comm", comm != nullptr}}, [&](tutti::Work& work) {
    Status status = check_all(function, arguments...);
    note(comm, status);
    if (status.ok()) {
      Communicator& communicator = comm->communicator;
      work = (communicator.*kMember)(convert(communicator, arguments)...);
    }
    return status;
  });
}

// ---- Groups

using GroupCalls = tutti_status* (*)(void* context);

Status taken(tutti_status* status) {
  if (status == nullptr) return {};
  if (status == &out_of_memory) return error(Code::unavailable, "{}", tutti_status_message(status));
  const std::unique_ptr<tutti_status> owned(status);
  return std::move(owned->status);
}

// Runs the callback of a group that is being recorded. Returns the error that makes the group fail.
Status record(tutti_comm* comm, GroupCalls calls, void* context) {
  struct Recording {
    explicit Recording(tutti_comm& owner) : comm(owner) { ++comm.groups; }
    ~Recording() {  // also when the callback throws
      if (--comm.groups == 0) comm.refused = {};
    }
    tutti_comm& comm;
  };
  const Recording recording(*comm);
  note(comm, taken(calls(context)));
  // An invalid call makes the group fail, in C++ too.
  if (!comm->refused.ok()) (void)comm->communicator.send(nullptr, -1, DataType::uint8, 0);
  return comm->refused;
}

}  // namespace

tutti_status* tutti_group(tutti_comm* comm, GroupCalls calls, void* context) noexcept {
  return guarded(__func__, {{"comm", comm != nullptr}, {"calls", calls != nullptr}}, [&] {
    Status failed;
    Status outcome = comm->communicator.group([&] { failed = record(comm, calls, context); });
    return failed.ok() ? outcome : failed;
  });
}

tutti_work* tutti_group_async(tutti_comm* comm, GroupCalls calls, void* context) noexcept {
  return started(
      __func__, {{"comm", comm != nullptr}, {"calls", calls != nullptr}}, [&](tutti::Work& work) {
        Status failed;
        work = comm->communicator.group_async([&] { failed = record(comm, calls, context); });
        return failed;
      });
}

// ---- Collectives

tutti_status* tutti_all_reduce(tutti_comm* comm, const void* send, void* recv, int64_t count,
                               tutti_data_type type, tutti_reduction op) noexcept {
  return run<&Communicator::all_reduce>(__func__, comm, send, recv, count, Type{type}, op);
}

tutti_work* tutti_all_reduce_async(tutti_comm* comm, const void* send, void* recv, int64_t count,
                                   tutti_data_type type, tutti_reduction op) noexcept {
  return start<&Communicator::all_reduce_async>(__func__, comm, send, recv, count, Type{type}, op);
}

tutti_status* tutti_reduce(tutti_comm* comm, const void* send, void* recv, int64_t count,
                           tutti_data_type type, tutti_reduction op, int root) noexcept {
  return run<&Communicator::reduce>(__func__, comm, send, recv, count, Type{type}, op, root);
}

tutti_work* tutti_reduce_async(tutti_comm* comm, const void* send, void* recv, int64_t count,
                               tutti_data_type type, tutti_reduction op, int root) noexcept {
  return start<&Communicator::reduce_async>(__func__, comm, send, recv, count, Type{type}, op,
                                            root);
}

tutti_status* tutti_broadcast(tutti_comm* comm, const void* send, void* recv, int64_t count,
                              tutti_data_type type, int root) noexcept {
  return run<&Communicator::broadcast>(__func__, comm, send, recv, count, Type{type}, root);
}

tutti_work* tutti_broadcast_async(tutti_comm* comm, const void* send, void* recv, int64_t count,
                                  tutti_data_type type, int root) noexcept {
  return start<&Communicator::broadcast_async>(__func__, comm, send, recv, count, Type{type}, root);
}

tutti_status* tutti_all_gather(tutti_comm* comm, const void* send, void* recv, int64_t count,
                               tutti_data_type type) noexcept {
  return run<&Communicator::all_gather>(__func__, comm, send, recv, count, Type{type});
}

tutti_work* tutti_all_gather_async(tutti_comm* comm, const void* send, void* recv, int64_t count,
                                   tutti_data_type type) noexcept {
  return start<&Communicator::all_gather_async>(__func__, comm, send, recv, count, Type{type});
}

tutti_status* tutti_all_gather_v(tutti_comm* comm, const void* send, void* recv,
                                 const int64_t* recv_counts, const int64_t* recv_offsets,
                                 tutti_data_type type) noexcept {
  return run<&Communicator::all_gather_v>(__func__, comm, send, recv,
                                          BlockArrays{"recv_counts", recv_counts, recv_offsets},
                                          Type{type});
}

tutti_work* tutti_all_gather_v_async(tutti_comm* comm, const void* send, void* recv,
                                     const int64_t* recv_counts, const int64_t* recv_offsets,
                                     tutti_data_type type) noexcept {
  return start<&Communicator::all_gather_v_async>(
      __func__, comm, send, recv, BlockArrays{"recv_counts", recv_counts, recv_offsets},
      Type{type});
}

tutti_status* tutti_reduce_scatter(tutti_comm* comm, const void* send, void* recv, int64_t count,
                                   tutti_data_type type, tutti_reduction op) noexcept {
  return run<&Communicator::reduce_scatter>(__func__, comm, send, recv, count, Type{type}, op);
}

tutti_work* tutti_reduce_scatter_async(tutti_comm* comm, const void* send, void* recv,
                                       int64_t count, tutti_data_type type,
                                       tutti_reduction op) noexcept {
  return start<&Communicator::reduce_scatter_async>(__func__, comm, send, recv, count, Type{type},
                                                    op);
}

tutti_status* tutti_reduce_scatter_v(tutti_comm* comm, const void* send, void* recv,
                                     const int64_t* send_counts, const int64_t* send_offsets,
                                     tutti_data_type type, tutti_reduction op) noexcept {
  return run<&Communicator::reduce_scatter_v>(__func__, comm, send, recv,
                                              BlockArrays{"send_counts", send_counts, send_offsets},
                                              Type{type}, op);
}

tutti_work* tutti_reduce_scatter_v_async(tutti_comm* comm, const void* send, void* recv,
                                         const int64_t* send_counts, const int64_t* send_offsets,
                                         tutti_data_type type, tutti_reduction op) noexcept {
  return start<&Communicator::reduce_scatter_v_async>(
      __func__, comm, send, recv, BlockArrays{"send_counts", send_counts, send_offsets}, Type{type},
      op);
}

tutti_status* tutti_all_to_all(tutti_comm* comm, const void* send, void* recv, int64_t count,
                               tutti_data_type type) noexcept {
  return run<&Communicator::all_to_all>(__func__, comm, send, recv, count, Type{type});
}

tutti_work* tutti_all_to_all_async(tutti_comm* comm, const void* send, void* recv, int64_t count,
                                   tutti_data_type type) noexcept {
  return start<&Communicator::all_to_all_async>(__func__, comm, send, recv, count, Type{type});
}

tutti_status* tutti_all_to_all_v(tutti_comm* comm, const void* send, const int64_t* send_counts,
                                 const int64_t* send_offsets, void* recv,
                                 const int64_t* recv_counts, const int64_t* recv_offsets,
                                 tutti_data_type type) noexcept {
  return run<&Communicator::all_to_all_v>(
      __func__, comm, send, BlockArrays{"send_counts", send_counts, send_offsets}, recv,
      BlockArrays{"recv_counts", recv_counts, recv_offsets}, Type{type});
}

tutti_work* tutti_all_to_all_v_async(tutti_comm* comm, const void* send, const int64_t* send_counts,
                                     const int64_t* send_offsets, void* recv,
                                     const int64_t* recv_counts, const int64_t* recv_offsets,
                                     tutti_data_type type) noexcept {
  return start<&Communicator::all_to_all_v_async>(
      __func__, comm, send, BlockArrays{"send_counts", send_counts, send_offsets}, recv,
      BlockArrays{"recv_counts", recv_counts, recv_offsets}, Type{type});
}

tutti_status* tutti_gather(tutti_comm* comm, const void* send, void* recv, int64_t count,
                           tutti_data_type type, int root) noexcept {
  return run<&Communicator::gather>(__func__, comm, send, recv, count, Type{type}, root);
}

tutti_work* tutti_gather_async(tutti_comm* comm, const void* send, void* recv, int64_t count,
                               tutti_data_type type, int root) noexcept {
  return start<&Communicator::gather_async>(__func__, comm, send, recv, count, Type{type}, root);
}

tutti_status* tutti_gather_v(tutti_comm* comm, const void* send, void* recv,
                             const int64_t* recv_counts, const int64_t* recv_offsets,
                             tutti_data_type type, int root) noexcept {
  return run<&Communicator::gather_v>(__func__, comm, send, recv,
                                      BlockArrays{"recv_counts", recv_counts, recv_offsets},
                                      Type{type}, root);
}

tutti_work* tutti_gather_v_async(tutti_comm* comm, const void* send, void* recv,
                                 const int64_t* recv_counts, const int64_t* recv_offsets,
                                 tutti_data_type type, int root) noexcept {
  return start<&Communicator::gather_v_async>(__func__, comm, send, recv,
                                              BlockArrays{"recv_counts", recv_counts, recv_offsets},
                                              Type{type}, root);
}

tutti_status* tutti_scatter(tutti_comm* comm, const void* send, void* recv, int64_t count,
                            tutti_data_type type, int root) noexcept {
  return run<&Communicator::scatter>(__func__, comm, send, recv, count, Type{type}, root);
}

tutti_work* tutti_scatter_async(tutti_comm* comm, const void* send, void* recv, int64_t count,
                                tutti_data_type type, int root) noexcept {
  return start<&Communicator::scatter_async>(__func__, comm, send, recv, count, Type{type}, root);
}

tutti_status* tutti_scatter_v(tutti_comm* comm, const void* send, void* recv,
                              const int64_t* send_counts, const int64_t* send_offsets,
                              tutti_data_type type, int root) noexcept {
  return run<&Communicator::scatter_v>(__func__, comm, send, recv,
                                       BlockArrays{"send_counts", send_counts, send_offsets},
                                       Type{type}, root);
}

tutti_work* tutti_scatter_v_async(tutti_comm* comm, const void* send, void* recv,
                                  const int64_t* send_counts, const int64_t* send_offsets,
                                  tutti_data_type type, int root) noexcept {
  return start<&Communicator::scatter_v_async>(
      __func__, comm, send, recv, BlockArrays{"send_counts", send_counts, send_offsets}, Type{type},
      root);
}

tutti_status* tutti_barrier(tutti_comm* comm) noexcept {
  return run<&Communicator::barrier>(__func__, comm);
}

tutti_work* tutti_barrier_async(tutti_comm* comm) noexcept {
  return start<&Communicator::barrier_async>(__func__, comm);
}

// ---- Point to point

tutti_status* tutti_send(tutti_comm* comm, const void* data, int64_t count, tutti_data_type type,
                         int peer) noexcept {
  return run<&Communicator::send>(__func__, comm, data, count, Type{type}, peer);
}

tutti_work* tutti_send_async(tutti_comm* comm, const void* data, int64_t count,
                             tutti_data_type type, int peer) noexcept {
  return start<&Communicator::send_async>(__func__, comm, data, count, Type{type}, peer);
}

tutti_status* tutti_recv(tutti_comm* comm, void* data, int64_t count, tutti_data_type type,
                         int peer) noexcept {
  return run<&Communicator::recv>(__func__, comm, data, count, Type{type}, peer);
}

tutti_work* tutti_recv_async(tutti_comm* comm, void* data, int64_t count, tutti_data_type type,
                             int peer) noexcept {
  return start<&Communicator::recv_async>(__func__, comm, data, count, Type{type}, peer);
}

tutti_status* tutti_send_recv(tutti_comm* comm, const void* send, int64_t send_count,
                              int destination, void* recv, int64_t recv_count, int source,
                              tutti_data_type type) noexcept {
  return run<&Communicator::send_recv>(__func__, comm, send, send_count, destination, recv,
                                       recv_count, source, Type{type});
}

tutti_work* tutti_send_recv_async(tutti_comm* comm, const void* send, int64_t send_count,
                                  int destination, void* recv, int64_t recv_count, int source,
                                  tutti_data_type type) noexcept {
  return start<&Communicator::send_recv_async>(__func__, comm, send, send_count, destination, recv,
                                               recv_count, source, Type{type});
}

// ---- Works

bool tutti_work_test(const tutti_work* work) noexcept {
  return work == nullptr || !work->refused.ok() || work->work.test();
}

tutti_status* tutti_work_wait(const tutti_work* work) noexcept {
  if (work == nullptr) return &out_of_memory;
  return guarded(__func__, {},
                 [&] { return work->refused.ok() ? work->work.wait() : work->refused; });
}

tutti_status* tutti_work_wait_for(const tutti_work* work, int64_t timeout_ms) noexcept {
  if (work == nullptr) return &out_of_memory;
  return guarded(__func__, {},
                 [&] { return work->refused.ok() ? work->work.wait(timeout_ms) : work->refused; });
}

tutti_status* tutti_work_on_done(const tutti_work* work,
                                 void (*callback)(const tutti_status* outcome, void* context),
                                 void* context) noexcept {
  if (work == nullptr) return &out_of_memory;
  const char* const function = __func__;
  return guarded(function, {{"callback", callback != nullptr}}, [&]() -> Status {
    const auto tell = [callback, context, function](const Status& outcome) {
      tutti_status* const status = guarded(function, {}, [&] { return outcome; });
      callback(status, context);
      tutti_status_free(status);
    };
    if (work->refused.ok()) {
      work->work.on_done(tell);
    } else {
      tell(work->refused);
    }
    return {};
  });
}

void tutti_work_free(tutti_work* work) noexcept {
  delete work;
}
