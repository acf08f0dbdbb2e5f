package models

import (
	"fmt"
	"unsafe"
)

// DType is a tensor's element type, by its safetensors name.
type DType string

// The element types.
const (
	F32 DType = "F32"
	F64 DType = "F64"
	I8  DType = "I8"
	I32 DType = "I32"
	I64 DType = "I64"
	U8  DType = "U8"
)

// Size is the number of bytes of an element, 0 for an unknown type.
func (d DType) Size() int {
	switch d {
	case I8, U8:
		return 1
	case F32, I32:
		return 4
	case F64, I64:
		return 8
	}
	return 0
}

// Element is a Go type that a tensor can hold.
type Element interface {
	~float32 | ~float64 | ~int8 | ~int32 | ~int64 | ~uint8
}

// Tensor is a dense, row-major array, little-endian, as safetensors keeps it.
type Tensor struct {
	DType DType
	Shape []int
	Data  []byte
}

// TensorOf views data as a tensor of the given shape; nothing is copied. The
// shape's product must be len(data).
func TensorOf[T Element](data []T, shape ...int) Tensor {
	var zero T
	size := int(unsafe.Sizeof(zero))
	t := Tensor{DType: dtypeOf(zero), Shape: shape}
	if len(data) > 0 {
		t.Data = unsafe.Slice((*byte)(unsafe.Pointer(&data[0])), len(data)*size)
	}
	return t
}

// View is the tensor's elements without a copy. It is an error when the type,
// the shape (where one is given; -1 takes any length) or the alignment is not
// as expected.
func View[T Element](t Tensor, shape ...int) ([]T, error) {
	var zero T
	if want := dtypeOf(zero); t.DType != want {
		return nil, fmt.Errorf("tensor is of type %s: expected %s", t.DType, want)
	}
	n := 1
	for _, s := range t.Shape {
		n *= s
	}
	if size := t.DType.Size(); len(t.Data) != n*size {
		return nil, fmt.Errorf("tensor of shape %v has %d bytes: expected %d", t.Shape, len(t.Data), n*size)
	}
	if shape != nil {
		if len(shape) != len(t.Shape) {
			return nil, fmt.Errorf("tensor has shape %v: expected %v", t.Shape, shape)
		}
		for i, s := range shape {
			if s >= 0 && s != t.Shape[i] {
				return nil, fmt.Errorf("tensor has shape %v: expected %v", t.Shape, shape)
			}
		}
	}
	if n == 0 {
		return nil, nil
	}
	p := unsafe.Pointer(&t.Data[0])
	if uintptr(p)%unsafe.Alignof(zero) != 0 {
		return nil, fmt.Errorf("tensor of type %s is not aligned to %d bytes", t.DType, unsafe.Alignof(zero))
	}
	return unsafe.Slice((*T)(p), n), nil
}

func dtypeOf[T Element](zero T) DType {
	switch unsafe.Sizeof(zero) {
	case 1:
		if zero-1 > 0 {
			return U8
		}
		return I8
	case 4:
		if T(1)/T(2) != 0 {
			return F32
		}
		return I32
	default:
		if T(1)/T(2) != 0 {
			return F64
		}
		return I64
	}
}
