#include "mpi/types.h"

namespace tutti::perf {

MPI_Datatype arithmetic_type(DataType type) {
  switch (type) {
    case DataType::float32:
      return MPI_FLOAT;
    case DataType::float64:
      return MPI_DOUBLE;
    case DataType::int8:
      return MPI_INT8_T;
    case DataType::int16:
      return MPI_INT16_T;
    case DataType::int32:
      return MPI_INT32_T;
    case DataType::int64:
      return MPI_INT64_T;
    case DataType::uint8:
      return MPI_UINT8_T;
    case DataType::uint16:
      return MPI_UINT16_T;
    case DataType::uint32:
      return MPI_UINT32_T;
    case DataType::uint64:
      return MPI_UINT64_T;
    case DataType::float16:
    case DataType::bfloat16:
    case DataType::float8_e4m3:
    case DataType::float8_e5m2:
      break;
  }
  return MPI_DATATYPE_NULL;
}

MPI_Datatype copied_type(DataType type) {
  const MPI_Datatype own = arithmetic_type(type);
  if (own != MPI_DATATYPE_NULL) return own;
  return size_of(type) == 1 ? MPI_UINT8_T : MPI_UINT16_T;
}

MPI_Op mpi_op(Operator op) {
  if (op.premultiplied) return MPI_OP_NULL;
  switch (op.op) {
    case ReduceOp::sum:
      return MPI_SUM;
    case ReduceOp::product:
      return MPI_PROD;
    case ReduceOp::min:
      return MPI_MIN;
    case ReduceOp::max:
      return MPI_MAX;
    case ReduceOp::bit_and:
      return MPI_BAND;
    case ReduceOp::bit_or:
      return MPI_BOR;
    case ReduceOp::bit_xor:
      return MPI_BXOR;
    case ReduceOp::average:
      break;
  }
  return MPI_OP_NULL;
}

}  // namespace tutti::perf
